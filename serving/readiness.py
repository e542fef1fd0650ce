"""Whether this process may take traffic: not before everything that a first request needs is warm.

Once it has been ready it stays so: without Redis it still answers, and a load balancer that took
every process out at once would leave nobody to do it.
"""

from collections.abc import Callable, Mapping

from serving.models import Checks, Readiness


class ReadinessChecks:
    """The checks, each a function of the moment."""

    def __init__(
        self,
        *,
        redis: Callable[[], bool],
        catalogue: Callable[[], bool],
        classifier: Callable[[], bool],
        keys: Callable[[], bool],
        soft: Mapping[str, bool],
        version: Callable[[], str],
    ) -> None:
        self._redis = redis
        self._catalogue = catalogue
        self._classifier = classifier
        self._keys = keys
        self._soft = soft
        self._version = version
        self.answers = False
        """The first answers are published."""
        self.warm = False
        """The hot path has been exercised."""
        self._has_been_ready = False

    def warmable(self) -> bool:
        """Whether everything is there but the warm-up."""
        return self._redis() and self._catalogue() and self._classifier() and self._keys()

    def read(self) -> Readiness:
        """The checks now."""
        checks = Checks(
            redis=self._redis(),
            catalogue=self._catalogue(),
            answers=self.answers,
            keys=self._keys(),
            classifier=self._classifier(),
            warm=self.warm,
            soft=dict(self._soft),
        )
        hard = [name for name in checks.__struct_fields__ if name != "soft"]
        self._has_been_ready |= all(getattr(checks, name) for name in hard)
        return Readiness(ready=self._has_been_ready, checks=checks, catalogue=self._version())
