-- The one place for the version: _VERSION, the User-Agent and the package read it here.
return "0.1.0"
