// SPDX-License-Identifier: Apache-2.0

// Package shared keeps content in a Redis or Valkey that the replicas of the
// provider have in common. It is an implementation of source.Shared, for the
// provider alone: a command line that runs for a second has nobody to share
// with.
//
// The server makes answers quicker and never other: whoever reads from it
// hashes what comes back. Without it everything works the same.
package shared

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

const (
	// defaultWait is about what a registry takes to answer.
	defaultWait = 50 * time.Millisecond
	// putWait is longer: nobody waits for it.
	putWait = time.Second
	// connectWait may be longer than the wait for a value, for a connection that
	// comes too late for one serves the next.
	connectWait = time.Second
	// restTime is how long a server that failed is left alone.
	restTime = time.Second

	// lifetime lets what nobody asks for any more go away.
	lifetime = 24 * time.Hour

	connections = 32
	writers     = 2
	// What waits to be stored is bounded by number and by bytes.
	maxQueue      = 256
	maxQueueBytes = 16 << 20
)

// A Config says which server is shared.
type Config struct {
	Address            string      // host:port
	Username, Password string      // "" for none; without Username it is the default user's
	TLS                *tls.Config // nil speaks without TLS

	// Wait is how long a value is waited for. 0 is 50 ms.
	Wait time.Duration
	// Log hears when the server fails and when it is back. Nil says nothing.
	Log *slog.Logger
	// Clock says how long the server has been left alone. Nil is the machine's.
	Clock func() time.Time
}

// A Cache is a connection to the server, be it there or not. It serves any
// number of goroutines.
type Cache struct {
	client *redis.Client
	wait   time.Duration
	log    *slog.Logger
	clock  func() time.Time

	queue  chan entry
	queued atomic.Int64 // bytes
	done   chan struct{}
	closed sync.Once
	active sync.WaitGroup

	refused sync.Once // said so

	mu    sync.Mutex
	down  bool      // it failed, and has not answered since
	until time.Time // when it may be asked again
}

type entry struct {
	key   string
	value []byte
}

// New makes a Cache. Nothing is asked of the server before the first value.
func New(config Config) *Cache {
	// The library writes to stderr for the whole process; what it has to say is
	// in the errors that it returns.
	logging.Disable()
	c := &Cache{
		client: redis.NewClient(options(config)), wait: config.Wait, log: config.Log, clock: config.Clock,
		queue: make(chan entry, maxQueue), done: make(chan struct{}),
	}
	if c.wait == 0 {
		c.wait = defaultWait
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.clock == nil {
		c.clock = time.Now
	}
	for range writers {
		c.active.Go(c.write)
	}
	return c
}

// options leave out all that lets a server lead the client somewhere else.
func options(config Config) *redis.Options {
	return &redis.Options{
		Addr: config.Address, Username: config.Username, Password: config.Password,
		Dialer:   dialer{config.TLS}.dial,
		Protocol: 2, DisableIdentity: true, PipelinePoolSize: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},

		MaxRetries: -1, DialerRetries: 1, // whoever needs an answer asks the registry
		DialTimeout: connectWait, ReadTimeout: putWait, WriteTimeout: putWait,
		ContextTimeoutEnabled: true,
		PoolSize:              connections, PoolTimeout: putWait,
	}
}

type dialer struct{ tls *tls.Config }

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var plain net.Dialer
	socket, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if d.tls == nil {
		return &guard{Conn: socket, socket: socket}, nil
	}
	config := d.tls.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	secure := tls.Client(socket, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = socket.Close()
		return nil, err
	}
	return &guard{Conn: secure, socket: socket}, nil
}

// Get gives the value of key if the server has it and says so soon. Meanwhile
// a failing server is left alone, nobody waits for it.
func (c *Cache) Get(ctx context.Context, key string) ([]byte, bool) {
	if c.resting() || ctx.Err() != nil {
		return nil, false
	}
	own, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	value, err := c.client.Get(own, key).Bytes()
	switch {
	case err == nil, errors.Is(err, redis.Nil), redis.HasErrorPrefix(err, "WRONGTYPE"):
		c.answered()
	case ctx.Err() == nil && !(timedOut(err) && endedBy(own, ctx)):
		c.failed(err)
	}
	return value, err == nil
}

// endedBy says whether ctx is what ended own: whoever asks in haste is no fault
// of the server's. The client may see the deadline on its socket, which is
// before ctx itself has ended.
func endedBy(own, ctx context.Context) bool {
	asked, has := ctx.Deadline()
	first, _ := own.Deadline()
	return has && !asked.After(first)
}

// Put stores value for a day, some time soon, unless more waits than may.
func (c *Cache) Put(key string, value []byte) {
	size := int64(len(value))
	if c.resting() {
		return
	}
	if c.queued.Add(size) > maxQueueBytes {
		c.queued.Add(-size)
		return
	}
	select {
	case c.queue <- entry{key, value}:
	default:
		c.queued.Add(-size)
	}
}

func (c *Cache) write() {
	for {
		select {
		case <-c.done:
			return
		case e := <-c.queue:
			c.store(e)
			c.queued.Add(-int64(len(e.value)))
		}
	}
}

// store leaves reading alone where the server only refuses to be written to,
// as one does that is full.
func (c *Cache) store(e entry) {
	if c.resting() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), putWait)
	defer cancel()
	err := c.client.Set(ctx, e.key, e.value, lifetime).Err()
	var refused redis.Error
	switch {
	case errors.As(err, &refused):
		c.refused.Do(func() { c.log.Warn("shared cache refuses to be written to", "error", reason(err)) })
	case err != nil:
		c.failed(err)
	}
}

// Close ends the connections. What waits to be stored is dropped, and the
// cache is empty from then on.
func (c *Cache) Close() {
	c.closed.Do(func() {
		close(c.done)
		c.active.Wait()
		_ = c.client.Close()
	})
}

func (c *Cache) resting() bool {
	select {
	case <-c.done:
		return true
	default:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock().Before(c.until)
}

// failed says so once, however long it lasts.
func (c *Cache) failed(err error) {
	c.mu.Lock()
	first := !c.down
	c.down, c.until = true, c.clock().Add(restTime)
	c.mu.Unlock()
	if first {
		c.log.Warn("shared cache fails and is done without", "error", reason(err))
	}
}

func (c *Cache) answered() {
	c.mu.Lock()
	again := c.down
	c.down = false
	c.mu.Unlock()
	if again {
		c.log.Info("shared cache is back")
	}
}
