"""Which Kubernetes we speak and which Pinnace we are: what `/version` and every Node say."""

KUBERNETES = "1.36.2"
PINNACE = "0.1.0"
# Semantic versioning's build metadata: clients compare the part before the plus sign.
VERSION = f"v{KUBERNETES}+pinnace.{PINNACE}"
