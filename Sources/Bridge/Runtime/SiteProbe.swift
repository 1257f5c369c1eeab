import ServerStreams
import XMPP

/// Takes the place of the peers while a site is being checked. Confined to the event loop of the site.
protocol SiteProbe: AnyObject {
    /// A stanza of the local server whose domains are proved.
    func received(_ stanza: Stanza)
    /// A stanza of the probe that could not be delivered.
    func undeliverable(_ stanza: Stanza, _ condition: StanzaErrorCondition)
    func noted(_ note: LocalNote)
}
