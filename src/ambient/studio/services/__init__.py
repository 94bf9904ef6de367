"""What the studio does: each module one part of the work, without knowing of HTTP."""
