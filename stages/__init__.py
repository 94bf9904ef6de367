"""The seven stages of the pipeline, and the contract that each of them keeps.

1. A program: `python3 -m stages.NAME …`, the same command in a container and in a checkout. It reads only below its
   inputs, writes only below its output, never changes an input, and knows nothing of `/pfs`, jobs or datums.
2. Flags are snake_case and mean the same in every stage.
3. Each file is written under a temporary name and renamed: a killed stage leaves no half file.
4. Progress and logs go to stderr, one line a file; stdout stays empty.
5. Exit 0: done. Exit 1: bad data, one line `error: FILE: what was found; what was expected. What to do`. Exit 2: bad
   usage. A corrupt file never takes another file with it.
6. `--help` answers without importing a framework: heavy imports stand inside `run()`.
7. Same inputs, flags and `--seed` on the same machine: same bytes out.
"""
