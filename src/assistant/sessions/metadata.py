"""What a dispatch tells the job: which session, and which attempt. Never anything else."""

from pydantic import BaseModel, ConfigDict, Field, ValidationError

MAX_METADATA_BYTES = 512  # Ours has under 100; anything larger is not ours.


class JobMetadata(BaseModel):
    """The metadata of a dispatch; `attempt` counts from 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    session: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    attempt: int = Field(ge=1)

    def encode(self) -> str:
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str) -> "JobMetadata | None":
        """The metadata in `text`; None: this dispatch is not one of ours."""
        if len(text) > MAX_METADATA_BYTES:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None
