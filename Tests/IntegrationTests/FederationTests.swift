import Testing

/// Has a laboratory do one check and turns its outcome into an issue.
private func expectPassed(_ check: String, _ variant: Variant) async throws {
    let outcome = try await Laboratory.of(variant).run(check)
    guard outcome.passed == true else {
        Issue.record("\(variant.name) \(check): \(outcome.detail ?? "no reason given")")
        return
    }
    if let remark = outcome.detail, !remark.isEmpty {
        print("\(variant.name) \(check): \(remark)")
    }
}

/// People at two sites with real servers and real clients: what they can do with each other.
@Suite(.enabled(if: Laboratory.isInstalled, "`make setup` installs the servers"), .timeLimit(.minutes(20)))
struct ConversationTests {
    @Test(arguments: Variant.all)
    func `A hundred messages each way arrive once, unchanged and in order`(_ variant: Variant) async throws {
        try await expectPassed("messages", variant)
    }

    @Test(arguments: Variant.all)
    func `A message to an unknown user comes back as one error`(_ variant: Variant) async throws {
        try await expectPassed("bounce", variant)
    }

    @Test(arguments: Variant.all)
    func `Subscriptions reach both, then presence and probes cross`(_ variant: Variant) async throws {
        try await expectPassed("presence", variant)
    }

    @Test(arguments: Variant.all)
    func `A room at one site works for the other: join, talk, leave, occupants`(_ variant: Variant) async throws {
        try await expectPassed("room_on_the_right", variant)
    }

    @Test(arguments: Variant.all)
    func `A room at the other site works as well`(_ variant: Variant) async throws {
        try await expectPassed("room_on_the_left", variant)
    }

    @Test(arguments: Variant.all)
    func `Requests get their result or the right error`(_ variant: Variant) async throws {
        try await expectPassed("requests", variant)
    }

    @Test(arguments: Variant.all)
    func `Users ping each other and the other server`(_ variant: Variant) async throws {
        try await expectPassed("ping", variant)
    }

    @Test(arguments: Variant.all)
    func `A vCard of 200 kB crosses both ways`(_ variant: Variant) async throws {
        try await expectPassed("vcard", variant)
    }
}

/// The same people while something between them breaks and comes back.
@Suite(.enabled(if: Laboratory.isInstalled, "`make setup` installs the servers"), .timeLimit(.minutes(20)))
struct FaultTests {
    @Test(arguments: Variant.bridged)
    func `After a restart of the right server no message is missing or doubled`(_ variant: Variant) async throws {
        try await expectPassed("restart_of_the_right_server", variant)
    }

    @Test(arguments: Variant.bridged)
    func `After a restart of the left server no message is missing or doubled`(_ variant: Variant) async throws {
        try await expectPassed("restart_of_the_left_server", variant)
    }

    @Test(arguments: Variant.bridged)
    func `What waits for the right bridge arrives after its restart`(_ variant: Variant) async throws {
        try await expectPassed("restart_of_the_right_bridge", variant)
    }

    @Test(arguments: Variant.bridged)
    func `What waits for the left bridge arrives after its restart`(_ variant: Variant) async throws {
        try await expectPassed("restart_of_the_left_bridge", variant)
    }

    @Test(arguments: Variant.bridged)
    func `Server and bridge acknowledge each other's stanzas where the server can`(_ variant: Variant) async throws {
        try await expectPassed("acknowledged_streams", variant)
    }

    @Test(arguments: Variant.bridged)
    func `A cut of the link delays messages and throws nobody out of a room`(_ variant: Variant) async throws {
        try await expectPassed("cut_of_the_link", variant)
    }

    @Test(arguments: Variant.bridged)
    func `Cuts in full flow double nothing and keep the order`(_ variant: Variant) async throws {
        try await expectPassed("cuts_in_full_flow", variant)
    }

    @Test(arguments: Variant.bridged)
    func `A silent link delays everything and loses nothing`(_ variant: Variant) async throws {
        try await expectPassed("silence_of_the_link", variant)
    }

    @Test(arguments: Variant.bridged)
    func `After a cut everybody sees the latest presence`(_ variant: Variant) async throws {
        try await expectPassed("presence_over_a_cut", variant)
    }

    @Test(arguments: Variant.bridged)
    func `An idle link carries no byte`(_ variant: Variant) async throws {
        try await expectPassed("link_is_narrow", variant)
    }
}

/// The operator's tool between two servers.
@Suite(.enabled(if: Laboratory.isInstalled, "`make setup` installs the servers"), .timeLimit(.minutes(20)))
struct RecordingTests {
    @Test(arguments: [Variant.recorded])
    func `What two servers say to each other is recorded word for word`(_ variant: Variant) async throws {
        try await expectPassed("recording", variant)
    }
}

/// What people at two sites notice of a link for which the profile `hf` is in force.
@Suite(.enabled(if: Laboratory.isInstalled, "`make setup` installs the servers"), .timeLimit(.minutes(20)))
struct NarrowLinkTests {
    @Test(arguments: [Variant.narrow])
    func `Every request has one answer, its result or the documented error`(_ variant: Variant) async throws {
        try await expectPassed("requests_of_clients", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `A vCard crosses once and without its photo`(_ variant: Variant) async throws {
        try await expectPassed("cards", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `A room at the other site is configured and administered`(_ variant: Variant) async throws {
        try await expectPassed("room_requests", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `Receipts, corrections and replies name what each side knows`(_ variant: Variant) async throws {
        try await expectPassed("references_between_two", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `Restarts of the bridges change no message's name`(_ variant: Variant) async throws {
        try await expectPassed("references_over_a_restart", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `Corrections and reactions mean the same to all in a room`(_ variant: Variant) async throws {
        try await expectPassed("references_in_rooms", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `Encrypted and long messages come back, typing notices go`(_ variant: Variant) async throws {
        try await expectPassed("what_stays", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `A second login with fifty contacts sends no probe`(_ variant: Variant) async throws {
        try await expectPassed("fifty_contacts", variant)
    }

    @Test(arguments: [Variant.narrow])
    func `A message to twenty occupants crosses once`(_ variant: Variant) async throws {
        try await expectPassed("twenty_occupants", variant)
    }
}

/// What people at two sites notice when only a radio joins them.
@Suite(.enabled(if: Laboratory.isInstalled, "`make setup` installs the servers"), .timeLimit(.minutes(20)))
struct RadioLinkTests {
    @Test(arguments: Variant.peopleOverRadio)
    func `Two talk in turn and at once, and all arrives in order`(_ variant: Variant) async throws {
        try await expectPassed("words_by_radio", variant)
    }

    @Test(arguments: Variant.peopleOverRadio)
    func `Presence, subscriptions and departures cross the radio`(_ variant: Variant) async throws {
        try await expectPassed("presence_by_radio", variant)
    }

    @Test(arguments: Variant.peopleOverRadio)
    func `A room at the other end of the radio works: join, talk, leave, return`(_ variant: Variant) async throws {
        try await expectPassed("room_on_the_right_by_radio", variant)
    }

    @Test(arguments: Variant.onCable)
    func `A room works the other way over the radio as well`(_ variant: Variant) async throws {
        try await expectPassed("room_on_the_left_by_radio", variant)
    }

    @Test(arguments: Variant.overRadio)
    func `Requests over the radio get their result or the profile's error`(_ variant: Variant) async throws {
        try await expectPassed("requests_by_radio", variant)
    }

    @Test(arguments: Variant.onCable)
    func `A message over the radio to an unknown user comes back as one error`(_ variant: Variant) async throws {
        try await expectPassed("nobody_by_radio", variant)
    }

    @Test(arguments: Variant.peopleOverRadio)
    func `Ten minutes without radio delay everything and throw nobody out of a room`(_ variant: Variant) async throws {
        try await expectPassed("cut_of_the_radio", variant)
    }

    @Test(arguments: Variant.onCable)
    func `Nodes that lose power take no message with them`(_ variant: Variant) async throws {
        try await expectPassed("loss_of_the_nodes", variant)
    }

    @Test(arguments: [Variant.onCable[0]])
    func `A bridge that is killed loses nothing that came by radio`(_ variant: Variant) async throws {
        try await expectPassed("loss_of_a_bridge", variant)
    }

    @Test(arguments: [Variant.onCable[0]])
    func `The operator tries out nodes while bridges use them`(_ variant: Variant) async throws {
        try await expectPassed("operator_tools", variant)
    }

    @Test(arguments: Variant.overRadio)
    func `The nodes say what the radio has carried`(_ variant: Variant) async throws {
        try await expectPassed("radio_was_used", variant)
    }

    @Test(.enabled(if: Laboratory.hasTShark, "tshark is not installed"), arguments: Variant.captured)
    func `Wireshark reads the capture of a self-test without complaint`(_ variant: Variant) async throws {
        try await expectPassed("capture_of_a_selftest", variant)
    }
}
