"""Fetching the weights of plugins that do not carry them."""

from livekit.agents import Plugin

from assistant.catalog.catalog import Catalog
from assistant.worker.providers import registry


def download(catalog: Catalog) -> list[str]:
    """Fetch what the providers of these agents need; returns the plugins' names.

    Raises:
        MissingExtraError: a provider's package is not installed.
    """
    for module in registry.modules_for(catalog.agents.values()):
        registry.load(module)
    for plugin in Plugin.registered_plugins:
        plugin.download_files()
    return [plugin.title for plugin in Plugin.registered_plugins]
