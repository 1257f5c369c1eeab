"""Real XMPP servers, bridges and clients on loopback addresses of one machine.

`network`   addresses and the cuttable link      `processes`  starting, watching and ending daemons
`servers`   Prosody, ejabberd, dnsmasq           `bridges`    the bridge under test
`client`    a recording XMPP client              `federation` two sites joined together
`tap`       reads along between server and bridge `ledger`    what became of every message
`recorder`  `skywave record` between two servers
`checks`    what must hold between two sites     `variants`   the ways of joining them
"""
