"""The verbs, a module each or a few that belong together. Each only reads its arguments, calls, and renders."""
