/// The words of generated message bodies. Frequent words stand first: bodies pick words unevenly, as speech does.
enum Vocabulary {
    static let words: [String] = split(
        """
        the to and is of a in we for on it you at be that with are this will not have as by from our no can your all
        or if they now out there up what has was do time when one but were than then about send who get two still need
        been please more any before after only ready over here near down next how just report back team ship us them
        north south east west morning noon evening night today tomorrow yesterday hour minute watch deck bridge radio
        harbour convoy patrol weather sea wind fog rain storm swell ice cold warm clear visibility course speed knots
        miles position bearing range depth chart buoy light channel anchor pier berth tug pilot crew captain engineer
        medic cook galley supper breakfast coffee water fuel oil filter pump valve engine generator battery spare part
        list stores boxes pallet crate truck driver road gate fence bridgehead camp tent stove blanket boots gloves
        helmet rope cable antenna mast antenna amplifier modem signal noise fading channel frequency schedule slot
        message copy received sent again repeat wait stand moving stopped arrived departed expected delayed cancelled
        confirmed unknown contact vessel fishing boat sail trawler ferry tanker helicopter aircraft drone signalman
        request approve deny change update plan order brief note map photo form table number count total half quarter
        first second third last early late soon never always maybe sure right wrong good bad better worse fine broken
        fixed open closed full empty high low left port starboard forward aft inside outside above below between
        doctor patient fever splint bandage dose tablet clinic school village bridge river ford hill valley track
        forest field farm well shelter family children elder market bread rice beans salt sugar tea fruit goat fish
        question answer problem reason idea help thanks sorry welcome hello roger cheers understood noted agreed
        """)

    static let statuses: [String] = [
        "", "on watch", "at supper", "in the engine room", "back at 1400", "short of battery",
        "asleep, call the bridge",
        "alongside", "out with the small boat", "do not disturb", "briefing until noon",
    ]

    static let names: [String] = split(
        """
        anna boris carla dmitri edda farid greta hugo ines jonas kira lars mina noah olga pavel quinn rosa sven tara ulf
        vera willem xenia yusuf zora ops medic cook bosun pilot signal galley deck radio
        """)

    static let resources: [String] = split("desk phone tab bridge ops-1 laptop")

    private static func split(_ text: String) -> [String] {
        text.split(whereSeparator: { $0 == " " || $0 == "\n" }).map(String.init)
    }
}
