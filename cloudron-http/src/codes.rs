//! The error codes of this crate.

cloudron_core::codes! {
    /// No connection, or a broken one.
    UNREACHABLE = ("http-unreachable", Unavailable,
        "The service, or the proxy on the way to it, could not be reached, or the connection broke before the answer was \
         complete. The message names the host. Check this computer's network, the address of the service and the \
         variables HTTPS_PROXY and NO_PROXY.");
    /// An untrusted certificate.
    CERTIFICATE = ("http-certificate", Denied,
        "The service showed a certificate that this computer does not trust, so that nothing was sent to it. A service \
         with a private authority, or with a certificate that it signed itself, is trusted when the file that the variable \
         SSL_CERT_FILE names holds that certificate in PEM. If the message says that the certificate is for \
         another name or has expired, it must be replaced at the service. If the service is a public one, something \
         between this computer and the service may read what is sent.");
    /// An unusable file of certificates.
    CA_FILE = ("http-ca-file", Usage,
        "The file of authorities, such as SSL_CERT_FILE or SSL_CERT_DIR names one, holds no certificate in PEM, or one \
         that cannot be read. PEM begins with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` converts other files.");
    /// An invalid proxy address.
    PROXY = ("http-proxy", Usage,
        "A variable such as HTTPS_PROXY or ALL_PROXY does not hold the address of a proxy. Write it as \
         http://proxy.example.com:3128, with https, socks5 or socks5h instead of http where the proxy speaks that, or \
         unset the variable.");
    /// An AWS profile that does not exist.
    AWS_PROFILE = ("aws-profile", Usage,
        "The variable AWS_PROFILE names a profile that the file of Amazon's credentials does not have. The message names \
         both. Correct the name, or unset the variable to use the profile `default`.");
    /// No credentials from the metadata service of an instance.
    INSTANCE_CREDENTIALS = ("instance-credentials", Denied,
        "A server at EC2 that uses its instance's role for its bucket asks the metadata service of the instance for \
         credentials, and got none. If the message says that the instance has no role, give it its instance profile again in \
         the console of EC2 (Actions, Security, Modify IAM role). If the service does not answer, something on the machine \
         blocks 169.254.169.254, or the service was turned off in the metadata options of the instance. Programs in \
         containers get no credentials, by intention.");
}
