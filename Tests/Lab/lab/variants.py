"""The ways of joining two sites that the checks run over."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """Two servers and how they are joined.

    `proof`, how servers show who they are: dialback (in the clear), starttls (encrypted, proved by dialback), external
    (encrypted, proved by certificates), component (to the bridge as a component, XEP-0114).
    `link`, what the bridges speak between them; each kind occurs in several variants. With direct there are no
    bridges: that proves the lab itself, and shows what two servers do without help.
    """

    left: str
    right: str
    proof: str
    link: str  # direct | plain | deflate | tls | tls-deflate

    @property
    def name(self) -> str:
        return f"{self.left}-{self.right}-{self.proof}" + ("" if self.is_bridged else "-direct")

    @property
    def is_bridged(self) -> bool:
        return self.link != "direct"

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
    Variant("prosody", "prosody", "external", "direct"),
    Variant("ejabberd", "prosody", "starttls", "direct"),
    Variant("ejabberd", "prosody", "external", "direct"),
    Variant("prosody", "prosody", "dialback", "plain"),
    Variant("prosody", "prosody", "starttls", "deflate"),
    Variant("prosody", "prosody", "external", "tls-deflate"),
    Variant("prosody", "prosody", "component", "tls"),
    Variant("ejabberd", "prosody", "dialback", "tls"),
    Variant("ejabberd", "prosody", "starttls", "tls-deflate"),
    Variant("ejabberd", "prosody", "external", "deflate"),
    Variant("ejabberd", "prosody", "component", "plain"),
]}
