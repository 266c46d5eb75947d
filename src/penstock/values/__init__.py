"""Values: one file for each family, with how it is stored, what its digest is and how it looks.

`Values` puts any value away as an artifact and brings it back; `Codec` is what a package provides to add a family.
"""

from penstock.values.codec import Codec, Encoded, Sink
from penstock.values.store import Values

__all__ = ["Codec", "Encoded", "Sink", "Values"]
