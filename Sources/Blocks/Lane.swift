/// The two lanes of a Skywave link in each direction.
package enum Lane: UInt8, CaseIterable, Sendable {
    /// In order, with a history that runs from block to block.
    case normal
    /// May overtake the normal lane: its history is text of the normal lane that both ends have acknowledged.
    case express
}
