package lib.repositories_test

import data.lib.repositories

test_repositories_valid if {
	every repository in ["oci://registry.example.com/charts", "oci://registry.example.com/charts/*", "oci://registry.example.com/**", "https://charts.example.com", "https://*.example.com/stable"] {
		repositories.valid(repository)
	}
}

test_no_repositories_invalid if {
	every repository in ["", "charts", "registry.example.com/charts", "oci://", "oci://registry.example.com//charts", null, 7, {}] {
		not repositories.valid(repository)
	}
}

test_chart_in_repository_held if {
	every repository in ["oci://registry.example.com/charts", "oci://registry.example.com/charts/web", "oci://registry.example.com", "oci://registry.example.com/**", "oci://*.example.com/*"] {
		repositories.hold([repository], "oci://registry.example.com/charts/web")
	}
	repositories.hold(["https://other.example.com", "https://charts.example.com"], "https://charts.example.com/web")
}

test_chart_beside_repository_not_held if {
	every location in [
		"oci://registry.example.com/charts-evil/web",
		"oci://registry.example.com/web",
		"oci://registry.example.com.evil.example/charts/web",
		"oci://evil.example/registry.example.com/charts/web",
		"https://registry.example.com/charts/web",
		"",
		null,
	] {
		not repositories.hold(["oci://registry.example.com/charts"], location)
	}
}

test_nothing_listed_holds_nothing if {
	every listed in [[], null, {}, "oci://registry.example.com/charts", [null, 7, ""]] {
		not repositories.hold(listed, "oci://registry.example.com/charts/web")
		not repositories.cover(listed, "oci://registry.example.com/charts")
	}
}

test_address_covered if {
	every repository in ["https://charts.example.com", "https://charts.example.com/**", "https://*.example.com/**"] {
		repositories.cover([repository], "https://charts.example.com")
		repositories.cover([repository], "https://charts.example.com/")
		repositories.cover([repository], "https://charts.example.com/stable")
	}
	repositories.cover(["oci://registry.example.com/charts"], "oci://registry.example.com/charts")
	repositories.cover(["oci://registry.example.com/*"], "oci://registry.example.com/charts")
}

# A chart, or a folder of its name, is less than a repository.
test_address_of_more_not_covered if {
	every repository in ["https://charts.example.com/any", "https://charts.example.com/stable", "https://charts.example.com/*"] {
		not repositories.cover([repository], "https://charts.example.com")
	}
	not repositories.cover(["oci://registry.example.com/charts/web"], "oci://registry.example.com/charts")
}

test_other_address_not_covered if {
	every address in [
		"http://charts.example.com",
		"https://charts.example.com.evil.example",
		"https://charts.example.com@evil.example",
		"https://evil.example/charts.example.com",
		"",
		null,
		7,
	] {
		not repositories.cover(["https://charts.example.com"], address)
	}
}
