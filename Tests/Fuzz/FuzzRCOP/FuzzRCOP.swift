import FuzzDriver

@_cdecl("FuzzRCOP_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments, violation: RCOPProperties.violation(in:))
}
