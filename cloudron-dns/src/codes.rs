//! The error codes of this crate.

cloudron_core::codes! {
    /// An invalid DNS name.
    NAME = ("dns-name", Usage,
        "What was given is not a DNS name: labels of at most 63 bytes joined by dots, at most 255 bytes in all \
         (RFC 1035, section 2.3.4).");
    /// An invalid TTL.
    TTL = ("dns-ttl", Usage,
        "A time to live is a number of seconds from 0 to 2147483647 (RFC 2181, section 8).");
    /// Invalid record data.
    RECORD = ("dns-record", Usage,
        "A record's type or value is not what its type demands, such as an A record without an IPv4 address, \
         a CNAME with two targets, or a set with values of two types.");
    /// An invalid zone file.
    ZONE_FILE = ("dns-zone-file", Corrupt,
        "The file with records is neither a zone file in the standard presentation format (RFC 1035, section 5) nor \
         a JSON list of record sets. The message has the line and what was expected there.");
    /// No zone exists for the name.
    ZONE_NOT_FOUND = ("dns-zone-not-found", NotFound,
        "The DNS provider has no zone that encloses the name. Check that the domain is hosted at this provider, \
         that the credentials belong to the account that holds it, and that its zone was created there.");
    /// Several zones exist for the name.
    ZONE_AMBIGUOUS = ("dns-zone-ambiguous", Conflict,
        "The DNS provider has several zones of the same name, and nothing says which of them the world asks. \
         Name the zone by its id, or delete the zone that is not in use.");
    /// The plan conflicts with records that are not ours. Details: `adoptable`, the first of them, if it can be adopted;
    /// `deletions`, what is too much, if it would delete a large part of the zone.
    CONFLICT = ("dns-conflict", Conflict,
        "The zone holds records that this program did not create where it wants to write its own. They are never \
         overwritten: the message shows both sides. Remove them by hand, or adopt them, which replaces them.");
    /// The zone changed since it was read.
    STALE = ("dns-stale", Conflict,
        "The zone changed between reading it and writing to it, so that nothing was written. Run the command \
         again: it reads the zone anew.");
    /// The provider does not support the change.
    UNSUPPORTED = ("dns-unsupported", Failed,
        "The DNS provider cannot express what was asked, such as a record type or a value that is too long for it. \
         The message names the record.");
    /// Part of the changes were written.
    PARTIAL = ("dns-partial", Partial,
        "Some of the changes were written and others not, because the provider takes them one at a time and one \
         failed. Run the command again: what is right already is left alone.");
    /// Changes that the server accepted but did not make.
    DROPPED = ("dns-dropped", Partial,
        "The DNS server answered that it made the changes, and some of them are not in the zone when it is read again. \
         Servers leave out without a word what has no place in a zone, such as a CNAME beside other records or a DS \
         record without name servers. The message names the records. Run the command again; if they are dropped \
         again, look into the server's log.");
    /// An unusable SPF record.
    SPF = ("dns-spf", Conflict,
        "The SPF record cannot be merged: it has a syntax error, there are two of them, or the result would need \
         more than 10 look-ups. Receivers then treat the whole domain as broken (RFC 7208, sections 3.2 and \
         4.6.4). Correct the record that the message shows, then run the command again.");
    /// An unusable DKIM key.
    DKIM = ("dns-dkim", Usage,
        "What was given or found is no key that signs mail (DKIM): it has a syntax error, too few bits, or is not \
         an RSA key in PEM (RFC 6376, section 3.6.1; RFC 8301).");
    /// No name server answers.
    NO_ANSWER = ("dns-no-answer", Unavailable,
        "No name server answered in time. Check that this machine reaches the network and that port 53 is not \
         blocked, over UDP and TCP.");
    /// The zone has no usable delegation.
    NO_DELEGATION = ("dns-no-delegation", NotFound,
        "The name servers of the domain could not be found by walking down from the root: the domain is not \
         registered, not delegated, or delegated to names that do not resolve. Check the name servers at the \
         registrar.");
    /// Timed out while waiting for the records to propagate.
    NOT_PROPAGATED = ("dns-not-propagated", TimedOut,
        "Not every authoritative name server answered with the wanted records before the time limit. The message \
         says which server answers what. Check that the records were set in the zone that the domain is delegated \
         to, then wait some minutes: secondary servers take a while.");
    /// A message that is not valid DNS.
    PROTOCOL = ("dns-protocol", Unavailable,
        "A name server sent an answer that cannot be understood. Try again; if it stays, something between this \
         machine and the name server changes DNS packets.");
    /// The provider rejected the credentials.
    CREDENTIALS = ("dns-credentials", Denied,
        "The DNS provider does not accept the token or key, or it lacks a permission that is needed to read and \
         write the zone. Check that it was copied whole, has not expired, and belongs to the right account.");
    /// The provider refused a request.
    REFUSED = ("dns-refused", Failed,
        "The DNS provider refused a change as it was sent; the message has its own words. Correct the record that \
         the message names, then run the command again: what is right already is left alone.");
    /// Too many requests.
    RATE_LIMITED = ("dns-rate-limited", Unavailable,
        "The account has made more requests than the DNS provider allows in a time. What was sent was not carried \
         out. Wait some minutes, then run the command again: what is right already is left alone.");
    /// The provider is unavailable.
    PROVIDER_DOWN = ("dns-provider-down", Unavailable,
        "The DNS provider could not be reached, answered that it cannot serve now, or gave an answer that cannot \
         be understood. Try again later: the zone is read anew, so that nothing is written twice.");
    /// A TSIG key that cannot be parsed.
    TSIG_KEY = ("dns-tsig-key", Usage,
        "The key for signing messages to a name server cannot be read. It is given as ALGORITHM:NAME:SECRET, or as \
         the file that tsig-keygen writes; the algorithm is hmac-sha256, -sha384, -sha512 or -sha1, the secret is \
         base64.");
    /// The name server rejected the key.
    KEY_REFUSED = ("dns-key-refused", Denied,
        "The name server does not accept the key that the message was signed with (TSIG, RFC 8945). Name, algorithm \
         and secret must be the same on both sides; the message says which of them differs.");
    /// Clock skew.
    CLOCK = ("dns-clock", Failed,
        "The clocks of this machine and of the name server differ by more than five minutes, so that signatures are \
         not accepted. Set both right, best by NTP, then run the command again.");
    /// A response that is not authenticated.
    UNSIGNED = ("dns-unsigned", Failed,
        "The answer of the name server is not signed with the key that the request was signed with, so that it is \
         not believed. Either the server does not know the key, or somebody in between changes its answers.");
    /// The name server refused an update.
    UPDATE_REFUSED = ("dns-update-refused", Denied,
        "The name server does not let this key or address change the zone, or it is a secondary server. Allow the \
         key to update the zone in the configuration of the primary server, and name that server.");
    /// The name server refused a zone transfer.
    TRANSFER_REFUSED = ("dns-transfer-refused", Denied,
        "The whole zone was asked for, and the name server does not let this key or address transfer it. Allow that \
         in the server's configuration; reading single names needs no transfer.");
    /// Another run writes the zone.
    DNS_BUSY = ("dns-busy", Conflict,
        "Another run on this computer is writing the same zone at the same DNS host. Two at once could each miss \
         what the other one wrote: wait until it is done.");
    /// A damaged ownership file.
    DNS_STATE = ("dns-state", Corrupt,
        "The file in which this computer remembers which records of a zone it wrote is damaged. Restore it from a \
         copy, or remove it: nothing in the zone is lost, and changes need its records to be adopted once.");
    /// Not all of a zone has a form in a zone file.
    ZONE_FILE_PARTIAL = ("dns-export", Partial,
        "The zone holds record sets that a zone file cannot express, such as aliases, weighted or disabled records. \
         They are comments in the file that was written, which therefore does not make the whole zone again.");
    /// Not a saved plan.
    PLAN_FILE = ("dns-plan-file", Corrupt,
        "The file is not a saved plan, or it is damaged. Make a new one.");
}
