import Foundation

/// What a figure should be.
enum Goal {
    case atLeast(Double)
    case atMost(Double)
}

/// Prints one measured figure: `bench NAME VALUE UNIT target OP VALUE`, without the last part where there is no target.
func report(_ name: String, _ value: Double, _ unit: String, _ goal: Goal? = nil) {
    var line = "bench \(name) \(plain(value)) \(unit)"
    switch goal {
    case .atLeast(let least): line += " target >= \(plain(least))"
    case .atMost(let most): line += " target <= \(plain(most))"
    case nil: break
    }
    print(line)
    fflush(nil)
}

private func plain(_ value: Double) -> String {
    if abs(value) >= 100 || value == value.rounded() { return String(format: "%.0f", value) }
    return String(format: "%.2f", value)
}
