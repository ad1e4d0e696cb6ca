"""Journeys: traces of more than one leg. A name is resolved first, a URL goes through its controller to a backend."""
