"""Before any test imports keras: choose the framework behind it."""

from ambient.framework import choose_framework

choose_framework()
