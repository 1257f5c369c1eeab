import IdentifierFolding
import TestSupport
import Testing
import XMPP

/// Many users who write, answer, correct, react and acknowledge at random, each with the memory of a client: under
/// which id it knows which message. The truth travels in the body, which nobody touches.
@Suite struct RandomConversations {
    struct Setting: Sendable, CustomTestStringConvertible {
        var seed: UInt64
        var folding: String
        var restarts = false
        /// So few tokens that most are forgotten while they are still in use.
        var pressure = false
        /// Whether the ids that rooms give are folded.
        var stanzaIDs = false
        var testDescription: String {
            "seed \(seed), folding \(folding)\(restarts ? ", restarts" : "")\(pressure ? ", few tokens" : "")"
                + (stanzaIDs ? ", rooms' ids too" : "")
        }
    }

    static let settings: [Setting] = {
        var settings: [Setting] = []
        for (index, folding) in ["abc", "a", "b", "ac", "abc"].enumerated() {
            for variant in 0..<4 {
                settings.append(
                    Setting(
                        seed: UInt64(index * 4 + variant + 1), folding: folding, restarts: variant & 1 != 0,
                        pressure: variant & 2 != 0, stanzaIDs: [1, 3, 4].contains(index)))
            }
        }
        return settings
    }()

    @Test(arguments: settings)
    func `every reference names what it means to everybody who gets it`(_ setting: Setting) throws {
        var town = Town(setting: setting)
        for _ in 0..<1_000 { try town.step() }
        #expect(town.wrong.isEmpty, "\(town.wrong.prefix(3))")
        if !setting.pressure { #expect(town.unknown == 0) }
        #expect(town.references > 300 && town.crossings > 500)
        #expect(town.archiveReferences > 100 && town.archiveReads > 10)
        if setting.pressure {
            #expect(town.evicted > 50, "there was no pressure")
            #expect(town.unknown * 2 < town.references)
        }
    }
}

/// The users, and what their clients know.
private struct Town {
    private struct Message {
        var serial: Int
        var author: String
        var conversation: String
        /// Who has it, its author included.
        var readers: [String]
    }

    /// Which message a user knows by an id in a conversation, as he calls it.
    private struct Known: Hashable {
        var user: String
        var conversation: String
        var id: String
    }

    private static let hostile: Set<String> = ["mallory@a.example"]
    private static let users = [
        "alice@a.example", "andy@a.example", "mallory@a.example", "bob@b.example", "ben@b.example", "carol@c.example",
        "chris@c.example"
    ]
    private static let rooms = ["room@rooms.a.example", "room@rooms.b.example", "room@rooms.c.example"]

    private let world: TestWorld
    private let setting: RandomConversations.Setting
    private var random: SeededGenerator
    private var serial = 0
    private var messages: [Message] = []
    private var known: [Known: Int] = [:]
    /// By which id a user knows a message.
    private var ids: [String: [Int: String]] = [:]
    /// Threads are numbered like messages, and known alike.
    private var threads: [Known: Int] = [:]
    /// The threads that a user knows in a conversation; its id is left empty.
    private var threadsIn: [Known: [(name: String, number: Int)]] = [:]
    private var tokensSeen: [String] = ["00000000"]
    /// The ids that the rooms themselves gave, by message.
    private var archive: [Int: String] = [:]
    /// As `known` and `ids`, for the ids that rooms gave.
    private var knownArchived: [Known: Int] = [:]
    private var archivedIDs: [String: [Int: String]] = [:]

    private(set) var wrong: [String] = []
    private(set) var unknown = 0
    private(set) var references = 0
    /// Those by the id that the room gave.
    private(set) var archiveReferences = 0
    /// Answers of archives and pieces of history.
    private(set) var archiveReads = 0
    private(set) var crossings = 0

    init(setting: RandomConversations.Setting) {
        self.setting = setting
        random = SeededGenerator(seed: setting.seed)
        world = TestWorld(
            folding: Set(setting.folding.map(String.init)), foldsStanzaIDs: setting.stanzaIDs,
            limits: setting.pressure ? IdentifierLimits(tokens: 60, tokensPerOwner: 25, foreign: 40) : .standard)
        for room in Self.rooms { world.makeRoom(room, occupants: Self.users) }
    }

    var evicted: UInt64 {
        TestWorld.sites.reduce(0) { sum, site in
            TestWorld.sites.filter { $0 != site }.reduce(sum) { $0 + world.end(site, to: $1).evicted }
        }
    }

    private mutating func makeID(_ user: String) -> String {
        if Self.hostile.contains(user) {
            // What others' messages have as ids, and what looks like it.
            let seen = tokensSeen[Int.random(in: 0..<tokensSeen.count, using: &random)]
            guard Bool.random(using: &random) else { return seen }
            let next = (UInt32(seen, radix: 16) ?? 0) &+ UInt32.random(in: 0..<4, using: &random)
            let text = String(next, radix: 16)
            return String(repeating: "0", count: 8 - text.count) + text
        }
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return "\(user.prefix(3))\(serial)"
        case 1: return "client-\(user.prefix(5))-\(serial)"
        case 2: return String(random.next(), radix: 16) + String(random.next(), radix: 16)
        default:
            let text = String(random.next(), radix: 16) + String(random.next(), radix: 16) + "00000000"
            let part = { (from: Int, count: Int) in String(text.dropFirst(from).prefix(count)) }
            return "\(part(0, 8))-\(part(8, 4))-\(part(12, 4))-\(part(16, 4))-\(part(20, 12))"
        }
    }

    mutating func step() throws {
        if setting.restarts, Int.random(in: 0..<40, using: &random) == 0 {
            world.restart(TestWorld.sites.randomElement(using: &random) ?? "a")
        }
        switch Int.random(in: 0..<10, using: &random) {
        case 0: try ask()
        case 1: try askArchive()
        case 2...4: try write(about: nil)
        default:
            let recent = messages.suffix(30).filter { !Self.hostile.contains($0.author) }
            guard let message = recent.randomElement(using: &random) else { return try write(about: nil) }
            try write(about: message)
        }
    }

    /// Sends a message, maybe one that refers to another.
    private mutating func write(about target: Message?) throws {
        serial += 1
        let serial = serial
        let author: String
        let conversation: String
        var content = "<body>\(serial) \(target?.serial ?? 0)</body>"
        var element: String?
        var isByArchive = false
        if let target {
            author = target.readers.filter { !Self.hostile.contains($0) }.randomElement(using: &random) ?? target.author
            conversation =
                target.conversation == "-"
                ? (author == target.author ? target.readers.first { $0 != author } ?? "" : target.author)
                : target.conversation
            let fitting = ConversationCase.references.filter { author == target.author ? $0.byAuthor : $0.byOthers }
            let archived = archivedIDs[author]?[target.serial]
            isByArchive = archived != nil && Bool.random(using: &random)
            guard let reference = fitting.randomElement(using: &random),
                let id = isByArchive ? archived : ids[author]?[target.serial]
            else { return }
            element = reference.name
            content += reference.xml.replacing("ID", with: id)
        } else {
            author = Self.users.randomElement(using: &random) ?? ""
            let isRoom = Bool.random(using: &random)
            let others = Self.users.filter { $0 != author && TestWorld.site($0) != TestWorld.site(author) }
            conversation = (isRoom ? Self.rooms : others).randomElement(using: &random) ?? ""
        }
        let id = makeID(author)
        let isRoom = Self.rooms.contains(conversation)
        if Bool.random(using: &random) { content += "<origin-id xmlns='urn:xmpp:sid:0' id='\(id)'/>" }
        let thread = threadFor(author, conversation)
        if let thread { content += "<thread>\(thread.name)</thread>" }
        let receipts = try world.message(
            from: author, to: conversation, type: isRoom ? "groupchat" : "chat", id: id, content)
        if isRoom { archive[serial] = world.lastStanzaID }
        learn(serial, author, isRoom ? conversation : "-" + conversation, id, isHostile: Self.hostile.contains(author))
        for receipt in receipts {
            crossings += receipt.crossed ? 1 : 0
            let place = isRoom ? conversation : "-" + author
            read(receipt, serial, author, place, thread?.number)
            if isRoom { learnArchived(serial, receipt.user, place, receipt.stanza.idIn("stanza-id")) }
            if let element, let target {
                follow(receipt, serial, place, element, to: target.serial, isByArchive: isByArchive)
            }
        }
        messages.append(
            Message(
                serial: serial, author: author, conversation: isRoom ? conversation : "-",
                readers: Array(Set(receipts.map(\.user) + [author])).sorted()))
    }

    private mutating func learn(_ serial: Int, _ user: String, _ conversation: String, _ id: String, isHostile: Bool) {
        let key = Known(user: user, conversation: conversation, id: id)
        if let other = known[key], other != serial {
            guard !Self.hostile.contains(user) else { return }
            if !isHostile || isStolen(other, conversation) {
                wrong.append("\(user) has \(other) and \(serial) as \(id)")
            }
            return
        }
        if isHostile, user != "mallory@a.example" { return }
        known[key] = serial
        ids[user, default: [:]][serial] = id
        if isToken(id) { tokensSeen.append(id) }
    }

    /// Whether another's message, whose id a user here has taken for his own, is one whose id our bridge made or hid.
    /// What rooms and users elsewhere call their own, and he can read, he can repeat with or without us.
    private func isStolen(_ serial: Int, _ conversation: String) -> Bool {
        guard setting.folding.contains("a"), TestWorld.site(String(conversation.drop { $0 == "-" })) != "a" else {
            return false
        }
        let author = messages.first { $0.serial == serial }?.author ?? ""
        return TestWorld.site(author) == "a" && !Self.hostile.contains(author)
    }

    private mutating func read(
        _ receipt: TestWorld.Receipt, _ serial: Int, _ author: String, _ conversation: String, _ thread: Int?
    ) {
        let (user, stanza) = (receipt.user, receipt.stanza)
        let id = stanza.id ?? ""
        if user == author {
            // Of ids that he used twice, he knows one.
            if let own = ids[user]?[serial], own != id {
                wrong.append("\(user) wrote \(serial) as \(own) and got it as \(id)")
            }
        } else {
            learn(serial, user, conversation, id, isHostile: Self.hostile.contains(author))
        }
        if let origin = stanza.idIn("origin-id"), origin != id { wrong.append("\(user): origin-id \(origin) of \(id)") }
        guard let thread, let name = stanza.threadText else { return }
        let key = Known(user: user, conversation: conversation, id: name)
        if let other = threads[key], other != thread {
            wrong.append("\(user): thread \(name) is \(other) and \(thread)")
        }
        note(thread, key)
    }

    /// Looks up what a reference names.
    private mutating func follow(
        _ receipt: TestWorld.Receipt, _ serial: Int, _ conversation: String, _ element: String, to target: Int,
        isByArchive: Bool
    ) {
        let user = receipt.user
        guard (isByArchive ? archivedIDs : ids)[user]?[target] != nil, !Self.hostile.contains(user) else { return }
        references += 1
        archiveReferences += isByArchive ? 1 : 0
        let key = Known(user: user, conversation: conversation, id: receipt.stanza.idIn(element) ?? "")
        switch isByArchive ? knownArchived[key] : known[key] {
        case target?: break
        case nil: unknown += 1
        case let other?: wrong.append("\(user) took \(other) for \(target) in \(serial)")
        }
    }

    /// A client learns under which id a room has a message. No other message of the room may have that.
    private mutating func learnArchived(_ serial: Int, _ user: String, _ conversation: String, _ id: String?) {
        guard let id else { return wrong.append("\(user) got \(serial) without the room's id") }
        let key = Known(user: user, conversation: conversation, id: id)
        if knownArchived.updateValue(serial, forKey: key) != nil { wrong.append("\(user) has \(id) twice") }
        if let other = known[key], !Self.hostile.contains(messages.first { $0.serial == other }?.author ?? "") {
            wrong.append("\(user) has \(other) as \(id), which the room calls \(serial)")
        }
        let isAtHome = TestWorld.site(user) == TestWorld.site(conversation)
        let isFolded = !isAtHome && setting.stanzaIDs && setting.folding.contains(TestWorld.site(conversation))
        if isFolded != isToken(id) || (!isFolded && id != archive[serial]) {
            wrong.append("\(user) got \(serial) as \(id) from the room")
        }
        archivedIDs[user, default: [:]][serial] = id
        if isToken(id) { tokensSeen.append(id) }
    }

    /// Somebody asks a room for what came after a message, and gets that message as the archive and the history have it.
    private mutating func askArchive() throws {
        let user = Self.users.filter { !Self.hostile.contains($0) }.randomElement(using: &random) ?? ""
        let recent = messages.suffix(60).filter {
            $0.conversation != "-" && TestWorld.site($0.conversation) != TestWorld.site(user)
        }
        guard let message = recent.randomElement(using: &random), let id = archivedIDs[user]?[message.serial],
            let original = archive[message.serial]
        else { return }
        archiveReads += 1
        let room = message.conversation
        let names = [
            "<set xmlns='http://jabber.org/protocol/rsm'><after>\(id)</after></set>",
            "<x xmlns='jabber:x:data' type='submit'><field var='ids'><value>\(id)</value></field></x>"
        ]
        let name = names.randomElement(using: &random) ?? ""
        let asked = try world.send(
            "<iq from='\(user)/r' to='\(room)' type='set' id='q'><query xmlns='urn:xmpp:mam:2'>\(name)</query></iq>",
            from: user, to: room)
        check(asked.texts(of: name.hasPrefix("<set") ? "after" : "value"), are: original, or: id, "the archive")

        let copy = "<stanza-id xmlns='urn:xmpp:sid:0' by='\(room)' id='\(original)'/>"
        let delay = "<delay xmlns='urn:xmpp:delay' stamp='2024-01-01T00:00:00Z'/>"
        let result = try world.send(
            """
            <message from='\(room)' to='\(user)/r'><result xmlns='urn:xmpp:mam:2' id='\(original)'>\
            <forwarded xmlns='urn:xmpp:forward:0'>\(delay)<message xmlns='jabber:client' from='\(room)/x'>\(copy)</message>\
            </forwarded></result></message>
            """, from: room, to: user)
        check([result.idIn("result"), result.idIn("stanza-id")], are: id, or: original, user)
        let history = try world.send(
            "<message from='\(room)/x' to='\(user)/r' type='groupchat'>\(copy)\(delay)</message>", from: room,
            to: user)
        check([history.idIn("stanza-id")], are: id, or: original, user)
        let end = try world.send(
            """
            <iq from='\(room)' to='\(user)/r' type='result' id='q'><fin xmlns='urn:xmpp:mam:2'>\
            <set xmlns='http://jabber.org/protocol/rsm'><first>\(original)</first><last>\(original)</last></set></fin></iq>
            """, from: room, to: user)
        check(end.texts(of: "first") + end.texts(of: "last"), are: id, or: original, user)
    }

    /// - Parameter forgotten: what it is where the token was forgotten meanwhile.
    private mutating func check(_ ids: [String?], are id: String, or forgotten: String, _ reader: String) {
        references += 1
        if ids.allSatisfy({ $0 == id }) { return }
        if setting.pressure, ids.allSatisfy({ $0 == forgotten }) {
            unknown += 1
        } else {
            wrong.append("\(reader) got \(ids) instead of \(id)")
        }
    }

    private mutating func note(_ thread: Int, _ key: Known) {
        guard threads.updateValue(thread, forKey: key) == nil else { return }
        threadsIn[Known(user: key.user, conversation: key.conversation, id: ""), default: []].append((key.id, thread))
    }

    /// A thread that the author knows in this conversation, or a new one.
    private mutating func threadFor(_ author: String, _ conversation: String) -> (name: String, number: Int)? {
        guard !Self.hostile.contains(author), Int.random(in: 0..<3, using: &random) == 0 else { return nil }
        let place = Self.rooms.contains(conversation) ? conversation : "-" + conversation
        let own = threadsIn[Known(user: author, conversation: place, id: "")] ?? []
        if Bool.random(using: &random), let thread = own.randomElement(using: &random) { return thread }
        let name = Bool.random(using: &random) ? "thread-\(serial)-of-\(author)" : "t\(serial)"
        note(serial, Known(user: author, conversation: place, id: name))
        return (name, serial)
    }

    /// A request and its answer.
    private mutating func ask() throws {
        serial += 1
        let from = Self.users.randomElement(using: &random) ?? ""
        let others = Self.users.filter { TestWorld.site($0) != TestWorld.site(from) }
        let to = others.randomElement(using: &random) ?? ""
        let id = makeID(from)
        let request = try world.send(
            "<iq from='\(from)/r' to='\(to)/r' type='get' id='\(id)'><q xmlns='q'/></iq>", from: from, to: to)
        if setting.restarts, Int.random(in: 0..<4, using: &random) == 0 { world.restart(TestWorld.site(from)) }
        let answer = try world.send(
            "<iq from='\(to)/r' to='\(from)/r' type='result' id='\(request.id ?? "")'/>", from: to, to: from)
        if answer.id != id { wrong.append("\(from) asked \(id) and got \(answer.id ?? "nothing")") }
    }
}
