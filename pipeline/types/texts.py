"""Generated text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenUsage:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that the engine found in its prefix cache."""

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
        )


@dataclass(frozen=True)
class TextDelta:
    """The next piece of a text that is being generated."""

    text: str


@dataclass(frozen=True)
class TokenLogprob:
    """A token and its log probability in its place."""

    token: str
    logprob: float


@dataclass(frozen=True)
class WrittenToken:
    """A token of a text, and the most likely tokens in its place."""

    written: TokenLogprob
    likeliest: tuple[TokenLogprob, ...]


@dataclass(frozen=True)
class Generation:
    """A finished text."""

    text: str
    finish_reason: str
    """`stop`, or `length` when `max_tokens` cut it off."""
    usage: TokenUsage
    inference_seconds: float
    tokens: tuple[WrittenToken, ...] | None = None
    """Set if the request asks for log probabilities."""
