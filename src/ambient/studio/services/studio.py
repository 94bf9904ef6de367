"""All parts of the studio put together, from its start to its stop."""

import threading
from pathlib import Path

from ambient.shipped import SHIPPED_PIPELINES, SHIPPED_SAMPLES
from ambient.studio.events import Hub
from ambient.studio.services.models import Models
from ambient.studio.services.pieces import Pieces
from ambient.studio.services.primers import Primers
from ambient.studio.services.songs import Songs
from ambient.studio.services.sound import Sound
from ambient.studio.services.takes import Takes
from ambient.studio.services.uploads import Uploads
from ambient.studio.services.work import Work
from ambient.studio.store import SEEDS, SONGS, LocalStore

_LOOK_S = 1.0  # time passes while a job runs, though nothing is committed
_LEAST_S = 0.2  # between two looks at the chain


class Studio:
    """What the routes use.

    Args:
        state: The state folder of localpach; what is the studio's own lies in `studio` inside.
    """

    def __init__(self, state: Path) -> None:
        own = state / "studio"
        self.store = LocalStore(state, SHIPPED_PIPELINES)
        self.hub = Hub(lambda: self.takes.growing())
        self.work = Work()
        self.models = Models(self.store, own / "models", self.work, self._answers_changed)
        self.takes = Takes(own / "takes", self.store, self.models, self.work, self._takes_changed, self.hub.wake)
        self.songs = Songs(self.store, own / "songs")
        self.sound = Sound(own / "rendered", self.work, self._sound_changed)
        self.pieces = Pieces(self.store, self.takes, self.models, self.work, own / "again", self._answers_changed)
        self.primers = Primers(own / "primers", self.store, self.songs, self.pieces)
        self.uploads = Uploads(own / "uploads", self.store)
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="studio watch", daemon=True)
        self._answers = 0

    def start(self) -> None:
        """Begin to run jobs and to tell of changes.

        Raises:
            StoreError: another program serves this state.
        """
        self.store.start()
        self._watcher.start()
        self._takes_changed()

    def stop(self) -> None:
        """Stop everything; what was unfinished goes on at the next start."""
        self._stopping.set()
        self.hub.close()
        self.work.close()
        self.store.stop()
        if self._watcher.ident is not None:
            self._watcher.join()

    def put_samples(self) -> str:
        """Put the sample songs and primers, and make the chain that runs over them."""
        self.store.make_chain()
        songs = {path.name: path for path in sorted((SHIPPED_SAMPLES / "songs").glob("*.mp3"))}
        primers = {path.name: path for path in sorted((SHIPPED_SAMPLES / "midi").glob("*.mid"))}
        self.store.put(SEEDS, dict(primers), note="sample primers")
        return self.store.put(SONGS, dict(songs), note="put the six sample songs")

    def _takes_changed(self) -> None:
        if hasattr(self, "takes"):
            self.hub.publish("takes", self.takes.listed())
            self.hub.wake()

    def _sound_changed(self) -> None:
        self.hub.publish("sound", self.sound.listed())

    def _answers_changed(self) -> None:
        self._answers += 1
        self.hub.publish("answers", self._answers)

    def _watch(self) -> None:
        with self.store.subscribe() as changes:
            while not self._stopping.is_set():
                changes.wait(_LOOK_S)
                self.hub.publish("flow", self.store.chain())
                self._stopping.wait(_LEAST_S)
