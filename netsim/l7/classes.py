"""Which controller handles which Ingress: IngressClass, the deprecated annotation, default classes, admission."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from netsim.l7.controller import APISIX_CONTROLLER, NGINX_CONTROLLER, Controller
from netsim.l7.ingress import Ingress, IngressClass


@dataclass(frozen=True, slots=True)
class Handling:
    """Whether a controller handles an Ingress, through which class ("" without one), and why or why not."""

    handled: bool
    class_name: str
    reason: str


def admit(ingress: Ingress, classes: Iterable[IngressClass]) -> str | None:
    """Return spec.ingressClassName as stored after creation (DefaultIngressClass admission).

    Skipped when the field or the annotation is present. Several defaults: the newest, ties by name ascending
    (k8s.io/kubernetes plugin/pkg/admission/network/defaultingressclass, since 1.27).
    """
    if ingress.class_name is not None or ingress.class_annotation is not None:
        return ingress.class_name
    default = default_class(classes)
    return default.name if default else None


def default_class(classes: Iterable[IngressClass]) -> IngressClass | None:
    """Return the default class that admission would choose, None when no class is a default."""
    defaults = sorted((found for found in classes if found.is_default), key=lambda found: found.name)
    newest = max((found.created for found in defaults), default="")
    return next((found for found in defaults if found.created == newest), None)


def spec_handling(ingress: Ingress, classes: Mapping[str, IngressClass], only: str = "") -> Handling:
    """Apply the specification alone: the class (field, else annotation) must exist; without one a default class
    serves.
    """
    name = ingress.class_name if ingress.class_name is not None else ingress.class_annotation
    if name is None:
        default = default_class(classes.values())
        if default is None:
            return Handling(False, "", "it names no class and no IngressClass is a default")
        name = default.name
    if name not in classes:
        return Handling(False, name, f"its class {name!r} does not exist")
    if only and name != only:
        return Handling(False, name, f"its class {name!r} is not {only!r}")
    return Handling(True, name, f"its class {name!r} exists")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which classes a controller owns: those of its controller name, or (any_class) every one."""

    controller: str
    any_class: bool = False

    def owns(self, found: IngressClass | None) -> bool:
        """Whether the class is this controller's."""
        return found is not None and (self.any_class or found.controller == self.controller)


def ownership(dialect: str, controller: Controller, classes: Mapping[str, IngressClass], only: str) -> Ownership:
    """Return what the dialect's controller owns.

    Its name is the flag's, else that of the class asked for, else the dialect's own. A dialect that no class of the
    input
    names owns them all: the question is then what that controller would do with them.
    """
    default = APISIX_CONTROLLER if dialect == "apisix" else NGINX_CONTROLLER
    flag = controller.flag("controller-name" if dialect == "apisix" else "controller-class")
    if flag:
        return Ownership(flag)
    if only in classes:
        return Ownership(classes[only].controller)
    named = any(found.controller == default for found in classes.values())
    return Ownership(default, any_class=not named)


DEFAULT_INGRESS_CLASS: Final = "nginx"


def nginx_handling(
    ingress: Ingress, classes: Mapping[str, IngressClass], controller: Controller, owned: Ownership
) -> Handling:
    """Decide as ingress-nginx does (internal/ingress/controller/store GetIngressClass), in its order."""
    if controller.is_set("disable-catch-all") and ingress.has_default_backend:
        return Handling(False, "", "--disable-catch-all drops every Ingress that has a defaultBackend")
    own = controller.flag("ingress-class", DEFAULT_INGRESS_CLASS)
    if ingress.class_name is not None and not controller.is_set("ignore-ingress-class"):
        return _by_field(ingress.class_name, classes, controller, owned, own)
    annotation = ingress.class_annotation
    if annotation is not None:
        if annotation == own:
            return Handling(True, annotation, f"its annotation equals --ingress-class={own}")
        return Handling(False, annotation, f"its annotation {annotation!r} is not --ingress-class={own}")
    if ingress.class_name is not None:
        return Handling(
            False, ingress.class_name, "the controller may not read IngressClasses; only the annotation counts"
        )
    if controller.is_set("watch-ingress-without-class"):
        return Handling(True, "", "--watch-ingress-without-class takes Ingresses without any class")
    return Handling(False, "", "it names no class (--watch-ingress-without-class is off)")


def _by_field(
    name: str, classes: Mapping[str, IngressClass], controller: Controller, owned: Ownership, own: str
) -> Handling:
    found = classes.get(name)
    if found is not None and owned.owns(found):
        return Handling(True, name, f"IngressClass {name} names controller {found.controller}")
    if found is not None and controller.is_set("ingress-class-by-name") and name == own:
        return Handling(True, name, f"--ingress-class-by-name, and its name is --ingress-class={own}")
    if found is None:
        return Handling(False, name, f"IngressClass {name!r} does not exist")
    return Handling(
        False, name, f"IngressClass {name} belongs to controller {found.controller}, not {owned.controller}"
    )


def apisix_handling(ingress: Ingress, classes: Mapping[str, IngressClass], owned: Ownership) -> Handling:
    """Decide as the APISIX ingress controller does: the annotation is a class name too; else its own default class."""
    name = ingress.class_name if ingress.class_name is not None else ingress.class_annotation
    return apisix_class(name, classes, owned)


def apisix_class(name: str | None, classes: Mapping[str, IngressClass], owned: Ownership) -> Handling:
    """Decide for a class name, None for an object without one."""
    if name:
        found = classes.get(name)
        if owned.owns(found):
            return Handling(True, name, f"IngressClass {name} names this controller")
        return Handling(
            False, name, f"IngressClass {name!r} " + ("does not exist" if found is None else "is another controller's")
        )
    default = next((found for found in classes.values() if found.is_default and owned.owns(found)), None)
    if default is not None:
        return Handling(True, default.name, f"it names no class; {default.name} is this controller's default")
    return Handling(False, "", "it names no class and this controller has no default class")
