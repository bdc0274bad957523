//! The error codes of the clouds.

cloudron_core::codes! {
    /// The cloud does not accept the credentials.
    CREDENTIALS = ("cloud-credentials", Denied,
        "The cloud does not accept the token or key, or it may not do what is needed. Make one with the permissions that \
         docs/clouds.md lists. What was made before stays and is found again by its marks.");
    /// Something does not exist in the cloud.
    NOT_FOUND = ("cloud-not-found", NotFound,
        "The cloud has no such thing: a type, a location, an image or a machine. The message names it.");
    /// The cloud limits the number of requests.
    RATE_LIMITED = ("cloud-rate-limited", Unavailable,
        "The cloud accepts no more requests for a while. The run was stopped where it was; it can be resumed later.");
    /// The cloud cannot be reached or cannot serve.
    DOWN = ("cloud-unavailable", Unavailable,
        "The cloud could not be reached, could not serve the request, or gave an unintelligible answer. What was made \
         before stays and is found again by its marks, so the run can be resumed.");
    /// The cloud refuses a request.
    REFUSED = ("cloud-refused", Failed,
        "The cloud refused a request. The message has its reason.");
    /// Something of the same name exists.
    TAKEN = ("cloud-name-taken", Conflict,
        "The cloud has something of the same name already, which was not made for this machine. It was left as it is.");
    /// A limit of the account is reached.
    QUOTA = ("cloud-quota", Denied,
        "A limit of the account is reached. Remove what is not needed, or ask the cloud for a higher limit.");
    /// No machine of that type can be made there now.
    CAPACITY = ("cloud-capacity", Unavailable,
        "The cloud has no machine of that type at that place now. Choose another type or place, or try again later.");
    /// A machine cannot be made of the given settings.
    SETTINGS = ("cloud-settings", Usage,
        "The cloud does not offer what the settings ask for. The message says what it offers.");
    /// The credentials may not do something.
    PERMISSION = ("cloud-permission", Denied,
        "The cloud accepts the credentials, and they may not do this. The message names the action that has to be allowed \
         for them in the cloud's console.");
    /// The account may not do something yet.
    ACCOUNT = ("cloud-account", Denied,
        "The account may not do this yet: it is being verified, is on a free plan, is locked, or has not accepted an offer. \
         The message has the cloud's words; its console says what to do.");
    /// The clocks differ.
    CLOCK = ("cloud-clock", Denied,
        "The request was refused because this computer's clock and the cloud's differ by minutes. The message has both \
         times. Set the clock (`timedatectl set-ntp true`) and run the command again.");
    /// Something else needs it.
    IN_USE = ("cloud-in-use", Conflict,
        "Something cannot be deleted yet because something else needs it. A machine that is being deleted holds its \
         addresses and groups for some minutes.");
    /// It is in the wrong state.
    STATE = ("cloud-state", Conflict,
        "Something is in a state in which this cannot be done, such as a machine that is still starting. Try again in a \
         minute.");
    /// It is protected.
    PROTECTED = ("cloud-protected", Denied,
        "Something is protected from being deleted. Turn the protection off in the cloud's console if it is to be deleted.");
}
