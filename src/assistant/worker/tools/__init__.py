"""What an agent can do besides talking: agents.yaml -> the SDK's tools."""
