/// A text that must not be printed: whatever shows the value around it shows three dots.
package struct Secret: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
    package let text: String

    package init(_ text: String) {
        self.text = text
    }

    package var description: String { "…" }

    package var customMirror: Mirror {
        Mirror(self, children: EmptyCollection<Mirror.Child>())
    }
}
