-- The one place for the version: _VERSION, the User-Agent and the package read it here.
return "1.0.0"
