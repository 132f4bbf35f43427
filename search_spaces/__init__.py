"""Search spaces shipped with nas-fusion."""
