//! The machine that a cloud is to make.

use clap::Args;
use cloudron_machine::CloudSettings;

/// What a machine is made of.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "The machine")]
pub(crate) struct Settings {
    /// The size or type; the `sizes` command lists them
    #[arg(long = "type", value_name = "TYPE", visible_alias = "size")]
    size: Option<String>,
    /// The image; Debian 12 by default
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The size of the disk in GB
    #[arg(long, value_name = "GB", value_parser = clap::value_parser!(u32).range(1..))]
    disk_size: Option<u32>,
    /// A private network of its own
    #[arg(long, conflicts_with = "subnet")]
    network: bool,
    /// An address that outlives the machine, and costs until it is released
    #[arg(long, visible_alias = "elastic-ip")]
    reserved_ip: bool,
    /// An existing subnet with a way to the internet
    #[arg(long, value_name = "ID", requires = "security_group")]
    subnet: Option<String>,
    /// An existing security group, which lets in TCP 22, 80, 202 and 443
    #[arg(long, value_name = "ID", requires = "subnet")]
    security_group: Option<String>,
    /// The profile whose role the server uses for its bucket
    #[arg(long, value_name = "NAME")]
    pub instance_profile: Option<String>,
    /// Make a role for the server's bucket, and remove it with the machine
    #[arg(long, conflicts_with = "instance_profile")]
    server_role: bool,
}

impl Settings {
    /// Returns the settings in a region.
    pub(crate) fn in_region(&self, region: Option<String>) -> CloudSettings {
        CloudSettings {
            region,
            size: self.size.clone(),
            image: self.image.clone(),
            disk_size: self.disk_size,
            network: self.network,
            reserved_ip: self.reserved_ip,
            subnet: self.subnet.clone(),
            security_group: self.security_group.clone(),
            instance_profile: self.instance_profile.clone(),
            server_role: self.server_role,
            ..CloudSettings::default()
        }
    }
}
