"""What a dispatch tells the job: which session and which attempt, or to stand by for one."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_METADATA_BYTES = 512  # Ours has under 100; anything larger is not ours.


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def encode(self) -> str:
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """The metadata in `text`; None: this dispatch is not of our making, or not of this kind."""
        if len(text) > MAX_METADATA_BYTES:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None


class JobMetadata(_Metadata):
    """The metadata of a dispatch; `attempt` counts from 1."""

    session: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    attempt: int = Field(ge=1)


class StandbyMetadata(_Metadata):
    """The metadata of a dispatch made ahead of any session; `standby` names the job's place."""

    standby: str = Field(pattern=r"^[0-9a-f]{16}$")


class Assignment(BaseModel):
    """What a job that stood by is to do now."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    job: JobMetadata
    #: The session's room, which is not the one that the job was dispatched to.
    room: str
