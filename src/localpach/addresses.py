"""The place that 0.1 had for `localpach.spec.addresses`; goes with release 0.3."""

import warnings

from localpach.spec.addresses import *  # noqa: F403

warnings.warn("localpach.addresses is localpach.spec.addresses now", DeprecationWarning, stacklevel=2)
