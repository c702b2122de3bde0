"""The agent of one session: what agents.yaml and its `config` come to."""

from typing import NamedTuple

from assistant.catalog import (
    AgentSpec,
    Catalog,
    CatalogInForce,
    OverrideNotAllowedError,
    Overrides,
)

NOTHING = Overrides()


class Resolved(NamedTuple):
    """An agent, and the same as its session's record has it."""

    spec: AgentSpec
    text: str


class Resolver:
    """`records`: whether there is a place for recordings."""

    def __init__(
        self, catalogs: CatalogInForce, *, session_timeout_s: float, records: bool
    ) -> None:
        self._catalogs = catalogs
        self._session_timeout_s = session_timeout_s
        self._records = records
        #: Of most sessions, which change nothing, and the catalog that it is of.
        self._unchanged: tuple[Catalog, dict[bool, Resolved]] = (catalogs.now, {})

    def resolve(self, overrides: Overrides, *, public: bool) -> Resolved:
        """The agent for a `config`; `public`: a publishable key asks.

        Raises:
            OverrideError: it asks for what there is not, or what the caller may not have.
        """
        catalog = self._catalogs.now
        if overrides != NOTHING:
            return self._resolved(catalog, overrides, public=public)
        known = self._unchanged
        if known[0] is not catalog:
            known = self._unchanged = (catalog, {})
        if public not in known[1]:
            known[1][public] = self._resolved(catalog, overrides, public=public)
        return known[1][public]

    def _resolved(self, catalog: Catalog, overrides: Overrides, *, public: bool) -> Resolved:
        spec = catalog.resolve(overrides, public=public, session_timeout_s=self._session_timeout_s)
        if spec.record == "audio" and not self._records:
            reason = "ASSISTANT_RECORDINGS_URL is not set"
            raise OverrideNotAllowedError("record", spec.name, reason)
        return Resolved(spec, spec.model_dump_json())
