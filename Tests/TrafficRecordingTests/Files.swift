import NIOCore
import TrafficRecording
import XMPP

/// A file that was read, as far as it could be.
struct ReadFile {
    var entries: [RecordedStanza] = []
    var ending: TrafficReader.Ending?
    var error: TrafficError?
    var isRedacted = false

    init(_ text: String, limits: XMLLimits = .local) {
        self.init([Array(text.utf8)[...]], limits: limits)
    }

    init(_ parts: [ArraySlice<UInt8>], limits: XMLLimits = .local) {
        var reader = TrafficReader(limits: limits)
        do throws(TrafficError) {
            for part in parts {
                var bytes = ByteBuffer(bytes: part)
                reader.read(&bytes)
                while let entry = try reader.next() { entries.append(entry) }
            }
            ending = try reader.finish()
        } catch {
            self.error = error
        }
        isRedacted = reader.isRedacted
    }
}

func stanza(_ text: String) throws -> Stanza {
    try StanzaReader().read(ByteBuffer(string: text))
}

func seconds(_ count: Double) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000) + .microseconds(Int64((count * 1_000_000).rounded()))
}

/// The opening tag of a traffic file.
let opening = #"<t:traffic xmlns:t="urn:x-traffic:0" xmlns="jabber:server">"#
