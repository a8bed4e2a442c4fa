from dagcast_testing.template import render

files = render("weather-sessions", "repository")
assert ".github/workflows/ci.yml" in files
assert 'name = "dagcast-weather-sessions"' in files["pyproject.toml"]
