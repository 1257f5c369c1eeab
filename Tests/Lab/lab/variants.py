"""The ways of joining two sites that the checks run over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """Two servers and how they are joined.

    `proof`, how servers show who they are: dialback (in the clear), starttls (encrypted, proved by dialback), external
    (encrypted, proved by certificates), component (to the bridge as a component, XEP-0114).
    `link`, what carries the link between the bridges; each kind occurs in several variants. With direct there are no
    bridges: that proves the lab itself, and shows what two servers do without help. With recorded there are none either,
    and `skywave record` stands between the servers.
    With radio they are two STANAG 5066 nodes on the named `radio` link, which runs `speed` times as fast as real time.
    `dialect`, what the bridges speak on it, and whether they keep a `journal`: durable or off. `profile`, what both let
    cross; such a variant has checks of its own, since what others expect to cross stays here.
    """

    left: str
    right: str
    proof: str
    link: str  # direct | recorded | plain | deflate | tls | tls-deflate | radio
    dialect: str = "xep"
    journal: str = "off"
    profile: str = ""
    radio: str = ""
    speed: float = 1

    @property
    def name(self) -> str:
        name = f"{self.left}-{self.right}-{self.proof}"
        if not self.is_bridged:
            return f"{name}-{self.link}"
        name += "" if self.dialect == "xep" else f"-{self.dialect}"
        name += f"-{self.profile}" if self.profile else ""
        return name + (f"-over-{self.radio}" if self.radio else "")

    @property
    def is_bridged(self) -> bool:
        return self.link not in ("direct", "recorded")

    @property
    def is_recorded(self) -> bool:
        return self.link == "recorded"

    @property
    def is_encrypted(self) -> bool:
        return self.proof in ("starttls", "external")

    @property
    def link_has_tls(self) -> bool:
        return self.link.startswith("tls")

    @property
    def link_has_deflate(self) -> bool:
        return self.link.endswith("deflate")


VARIANTS = {variant.name: variant for variant in [
    Variant("prosody", "prosody", "dialback", "direct"),
    Variant("prosody", "prosody", "dialback", "recorded"),
    Variant("prosody", "prosody", "external", "direct"),
    Variant("ejabberd", "prosody", "starttls", "direct"),
    Variant("ejabberd", "prosody", "external", "direct"),
    Variant("prosody", "prosody", "dialback", "plain"),
    Variant("prosody", "prosody", "starttls", "deflate"),
    Variant("prosody", "prosody", "external", "tls-deflate"),
    Variant("prosody", "prosody", "component", "tls", journal="durable"),
    Variant("ejabberd", "prosody", "dialback", "tls"),
    Variant("ejabberd", "prosody", "starttls", "tls-deflate", journal="durable"),
    Variant("ejabberd", "prosody", "external", "deflate"),
    Variant("ejabberd", "prosody", "component", "plain"),
    Variant("prosody", "prosody", "dialback", "plain", "skywave", "durable"),
    Variant("prosody", "prosody", "external", "tls", "skywave", "durable"),
    Variant("ejabberd", "prosody", "starttls", "tls", "skywave", "durable"),
    Variant("ejabberd", "prosody", "component", "plain", "skywave", "durable"),
    Variant("ejabberd", "prosody", "dialback", "plain", "skywave", "off"),
    Variant("prosody", "prosody", "dialback", "plain", "skywave", "durable", "hf"),
    Variant("prosody", "prosody", "dialback", "radio", "skywave", "durable", "hf", "hf-lab-1200S", 20),
    Variant("ejabberd", "prosody", "dialback", "radio", "xep", "durable", "hf", "hf-lab-1200S", 20),
    Variant("prosody", "prosody", "dialback", "radio", "xep", "durable", "hf", "hf-lab-1200S", 20),
    Variant("prosody", "prosody", "dialback", "radio", "skywave", "durable", "hf", "hf-skywave-poor-1200L", 20),
    Variant("prosody", "prosody", "dialback", "radio", "xep", "durable", "hf", "hf-skywave-poor-1200L", 20),
]}
