/// A profile with everything that it inherits: what the sections of its files say together.
///
/// A key replaces the inherited key of the same name as a whole; `strip` and `keep-only` replace each other. Rules of a
/// parent come before those of its child. Made by ``ProfileLibrary``; applied as a ``CompiledProfile``.
package struct Profile: Equatable, Sendable {
    /// One `[[SECTION.rule]]`.
    package struct Rule<Settings: Equatable & Sendable>: Equatable, Sendable {
        package var when: RuleCondition
        package var settings: Settings
        package var origin: RuleOrigin

        package init(when: RuleCondition, settings: Settings, origin: RuleOrigin) {
            self.when = when
            self.settings = settings
            self.origin = origin
        }
    }

    package var name: String
    /// `description`: one line for lists of profiles; empty where there is none.
    package var summary = ""
    /// The names of the profiles that it inherits from, the nearest first.
    package var ancestors: [String] = []

    package var message = MessageSettings()
    package var messageRules: [Rule<MessageSettings>] = []
    package var presence = PresenceSettings()
    package var presenceRules: [Rule<PresenceSettings>] = []
    package var iq = IQSettings()
    package var iqRules: [Rule<IQSettings>] = []
    package var outbox = ProfileOutbox()
    package var block = ProfileBlock()

    package init(name: String) { self.name = name }

    /// Takes over what a nearer profile says.
    mutating func replace(by nearer: Profile) {
        ancestors.insert(name, at: 0)
        name = nearer.name
        summary = nearer.summary
        message.replace(by: nearer.message)
        messageRules += nearer.messageRules
        presence.replace(by: nearer.presence)
        presenceRules += nearer.presenceRules
        iq.replace(by: nearer.iq)
        iqRules += nearer.iqRules
        outbox.replace(by: nearer.outbox)
        block.replace(by: nearer.block)
    }
}
