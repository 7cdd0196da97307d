"""Model files at rest: safetensors, named by their content, written whole or not at all."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from twintier.protocol.tensors import blob_digest

Arrays = Mapping[str, npt.NDArray[np.generic]]


class WeightsError(Exception):
    """A model file is missing or is not what its name says; restore it or delete its record."""


class WeightStore:
    """A folder of model files by blake2b-256 of their bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, arrays: Arrays) -> str:
        """Keep arrays of any shapes by name. Idempotent.

        Returns:
            The digest that finds them again.

        Raises:
            OSError: if the folder cannot be written.
        """
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        blob = save(contiguous)
        digest = blob_digest(blob)
        path = self._path(digest)
        if not path.exists():
            handle, temporary = tempfile.mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(blob)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        return digest

    def get(self, digest: str) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays of a digest.

        Raises:
            WeightsError: if there is no such file, or its bytes have another digest.
        """
        path = self._path(digest)
        try:
            blob = path.read_bytes()
        except FileNotFoundError as error:
            raise WeightsError(f"no model file {path.name} in {self.folder}") from error
        if blob_digest(blob) != digest:
            raise WeightsError(f"model file {path} was changed; its bytes have another digest")
        try:
            return dict(load(blob))
        except SafetensorError as error:
            raise WeightsError(f"model file {path} is not safetensors: {error}") from error

    def delete(self, digest: str) -> None:
        """Forget a file; nothing happens if it is not there."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.safetensors"
