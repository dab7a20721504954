"""The HTTPS door for Kubernetes clients.

Requests become calls of the registry and answers become JSON, Tables or watch streams. What the
door says about itself (discovery, OpenAPI) and how it prints objects (Table) are pure functions
here. It never decides who may do what and never touches the store.
"""
