"""Forms (multipart/form-data, RFC 7578) taken apart in memory: one file and a few short fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from i2i.serving.problems import ProblemError

_PARTS: Final = 16
_FIELD: Final = 1024  # bytes of a field that is no file
_HEADERS: Final = 2048  # bytes of a part's headers
_EVENTS: Final = ("part_begin", "part_data", "header_begin", "header_field", "header_value", "header_end", "end")


@dataclass
class Form:
    """A file, what its sender calls it, and the other fields."""

    file: bytes = b""
    filename: str = ""
    fields: dict[str, str] = field(default_factory=dict)


def parse(body: bytes, content_type: str, name: str = "image") -> Form:
    """The form of a whole body, whose file is the field `name`; raises ProblemError with what is wrong with it."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise ProblemError(400, "the form has no boundary in its Content-Type", "Let your HTTP library set it.")
    reader = _Reader(name)
    callbacks: Any = {f"on_{event}": getattr(reader, event) for event in _EVENTS}
    try:
        parser = MultipartParser(boundary, callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise ProblemError(400, f"the form cannot be read: {error}") from None
    if not reader.ended:
        raise ProblemError(400, "the form ends in the middle", "Send it whole.")
    return reader.form()


class _Reader:
    """Takes what the parser finds."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.ended = False
        self._parts: list[tuple[dict[str, str], bytearray]] = []
        self._field, self._value = bytearray(), bytearray()
        self._headers = 0

    def part_begin(self) -> None:
        if len(self._parts) == _PARTS:
            raise ProblemError(400, f"the form has more than {_PARTS} parts", "Send one image, in a field `image`.")
        self._parts.append(({}, bytearray()))
        self._headers = 0

    def header_begin(self) -> None:
        self._field, self._value = bytearray(), bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._field, data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._grow(self._value, data[start:end])

    def _grow(self, text: bytearray, piece: bytes) -> None:
        self._headers += len(piece)
        if self._headers > _HEADERS:
            raise ProblemError(400, "a part of the form has too long headers")
        text += piece

    def header_end(self) -> None:
        if bytes(self._field).lower() != b"content-disposition":
            return
        options = parse_options_header(bytes(self._value))[1]
        said = {key.decode("ascii", "replace"): value.decode("utf-8", "replace") for key, value in options.items()}
        self._parts[-1][0].update(said)

    def part_data(self, data: bytes, start: int, end: int) -> None:
        said, content = self._parts[-1]
        if said.get("name") != self.file and len(content) + end - start > _FIELD:
            raise ProblemError(400, f"the field '{said.get('name', '')[:40]}' is longer than {_FIELD} bytes")
        content += memoryview(data)[start:end]

    def end(self) -> None:
        self.ended = True

    def form(self) -> Form:
        found = Form()
        files = 0
        for said, content in self._parts:
            if said.get("name") == self.file:
                files += 1
                found.file, found.filename = bytes(content), said.get("filename", "")
            else:
                found.fields[said.get("name", "")] = content.decode("utf-8", "replace")
        if files != 1:
            raise ProblemError(
                400,
                f"the form has {files or 'no'} fields '{self.file}'",
                f"Send one image: curl -F {self.file}=@photo.png",
            )
        return found
