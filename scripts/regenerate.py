"""Make a generated piece again, to the same bytes: `python3 -m stages.regenerate`, by the name it had in 0.1.

python3 scripts/regenerate.py song.mid --inputs samples/midi --save_path again.mid
"""

import sys

from ambient.stages.regenerate import main

if __name__ == "__main__":
    sys.exit(main())
