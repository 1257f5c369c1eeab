import FuzzDriver

@_cdecl("FuzzDialback_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt {
    unsafe FuzzDriver.run(count, arguments) { DialbackProperties.check($0).violation }
}
