//! Error codes of backups.

cloudron_core::codes! {
    /// The store address is not understood. Detail, where no store has its scheme: `address`.
    STORE_URL = ("store-url", Usage,
        "The address of the backup store is not understood. Write a folder as a path or as file:///folder; \
         s3://bucket/prefix needs a build with S3 support.");
    /// The object key is not allowed in any store.
    STORE_KEY = ("store-key", Usage,
        "The name of an object in the backup store is not allowed. Names are made of letters, digits, dots, \
         dashes, underscores and plus signs, in parts separated by slashes; no part starts with a dot.");
    /// An option of the store is missing or invalid.
    STORE_OPTION = ("store-option", Usage,
        "An option of the backup store is missing, is not understood, or means nothing to a store of this kind. \
         The message names it.");
    /// A lifecycle rule of the bucket deletes objects by age. Details: `rule`, `store`.
    STORE_EXPIRES = ("store-expires", Conflict,
        "A lifecycle rule of the bucket deletes objects by their age. A repository stores every content once, so an \
         old object may be part of the newest backup, and the rule would break it. Remove the rule; \
         a prune deletes old backups.");
    /// A lifecycle rule that deletes or archives objects needed by backups.
    LIFECYCLE_HARMS = ("lifecycle-harms", Conflict,
        "A lifecycle rule of the bucket deletes objects by age, or moves them where they cannot be read at once. \
         Backups share their content: what the first one stored is part of the newest, so such a rule destroys \
         them all.");
    /// The existing lifecycle rules cannot be read, so none can be added.
    STORE_RULES_UNKNOWN = ("store-rules-unknown", Denied,
        "The lifecycle rules of the bucket cannot be read with these credentials. Writing new ones would replace \
         those that are there. Use credentials that may read them (s3:GetLifecycleConfiguration).");
    /// The store denied the request.
    STORE_DENIED = ("store-denied", Denied,
        "The backup store did not accept the credentials, or they do not permit what was asked. The message says \
         what the store answered; docs/stores.md lists the permissions that are needed.");
    /// The bucket does not exist.
    STORE_MISSING = ("store-missing", NotFound,
        "The bucket of the backup store does not exist. Buckets are not made by this program: check the name, the \
         region and the endpoint, or make the bucket.");
    /// The bucket is in another region.
    STORE_REGION = ("store-region", Usage,
        "The bucket is in another region than the one that was asked, or at another endpoint. Give the region \
         that the message names.");
    /// The clocks of machine and store differ.
    STORE_CLOCK = ("store-clock", Denied,
        "The store refuses requests because the clock of this machine differs from its own by more than it allows, \
         usually 15 minutes. Set the clock, for instance with systemd-timesyncd.");
    /// The store does not answer, or not correctly.
    STORE_UNAVAILABLE = ("store-unavailable", Unavailable,
        "The backup store could not be reached, broke the connection, or answered that it cannot serve now, and did \
         so again when asked again. Nothing that was complete before is lost; run it again later.");
    /// The store failed in another way.
    STORE_FAILED = ("store-failed", Failed,
        "The backup store refused a request for the reason that the message gives.");
    /// The store does not support conditional writes. Detail, where the bucket keeps versions: `versioned`, the store.
    STORE_CONDITIONAL = ("store-conditional", Usage,
        "The store cannot write an object only if there is none of its name (If-None-Match), by which several \
         machines share a repository safely. Some services stop to do so when versioning is switched on for the bucket. \
         A program can look first instead; then one machine at a time may use the repository. Everything that writes checks it.");
    /// An object is archived.
    OBJECT_ARCHIVED = ("object-archived", Partial,
        "Objects of the repository are in an archive class of the store and cannot be read at once. A restore asks \
         for those that it needs, which takes minutes to two days: run it again then, or let it wait.");
    /// An object does not exist.
    OBJECT_MISSING = ("object-missing", NotFound,
        "An object is not in the backup store. Either it was deleted by something other than this program, or \
         the store is not the one the backup was made to.");
    /// The content of an object is not the expected one.
    OBJECT_CORRUPT = ("object-corrupt", Corrupt,
        "An object in the backup store does not have the content that was written: its hash or its encryption \
         does not check. The rest of the repository is not affected.");
    /// There is no repository at the address.
    REPOSITORY_MISSING = ("repository-missing", NotFound,
        "There is no backup repository at this address. Check the address, or create one.");
    /// There are objects of a repository, but not its description. Detail, where one was begun with another key:
    /// `begun`, the store.
    REPOSITORY_LOST = ("repository-lost", Corrupt,
        "Objects of a backup repository are at this address, and the file cloudron-backup.json, which describes it, is \
         missing: it was deleted, or a copy to this address was cut off. Nothing was written or deleted. The file holds \
         no secrets: put it back from any copy of the repository. A new repository is only made where no other was.");
    /// The repository exists already.
    REPOSITORY_EXISTS = ("repository-exists", Conflict,
        "There is a backup repository at this address already. Use it, or choose another address.");
    /// The description of the repository cannot be read.
    REPOSITORY_CORRUPT = ("repository-corrupt", Corrupt,
        "The file cloudron-backup.json, which describes the repository, is damaged or does not belong to the rest \
         of it. It holds no secrets: it can be taken from any copy of the repository.");
    /// The repository was written by a newer program.
    REPOSITORY_NEWER = ("repository-newer", Usage,
        "The repository was written by a newer version of this program, in a format this one does not know. \
         Update this program.");
    /// The repository was written by an older program.
    REPOSITORY_OLD = ("repository-old", Usage,
        "The repository has format 1, in which anybody who can add objects can mislead a prune. It can be read, \
         copied and restored from; nothing is written to it. An upgrade makes it new with the backup key; writers need \
         new keys afterwards.");
    /// A backup was made, and something is missing from it.
    FILES_LEFT_OUT = ("files-left-out", Partial,
        "The backup was made and can be restored, and some files or folders are not in it because they could not \
         be read. The warnings name them: give the program the right to read them, or leave them out.");
    /// Writer keys that cannot be read.
    WRITER_KEYS = ("writer-keys", Usage,
        "The keys for making backups cannot be read.");
    /// The writer's keys are revoked.
    WRITER_REVOKED = ("writer-revoked", Denied,
        "The owner of the repository revoked the keys that this machine writes with. Backups made with them would \
         count for nothing. The owner makes new ones.");
    /// The name of the writer is not allowed.
    WRITER_NAME = ("writer-name", Usage,
        "The name of a writer is made of letters, digits, dots, dashes and underscores, for instance the domain \
         of a machine. It is new for each writer.");
    /// The writer does not exist.
    WRITER_UNKNOWN = ("writer-unknown", NotFound,
        "The repository has no writer of that name or id.");
    /// The object has no valid signature and is ignored.
    OBJECT_FOREIGN = ("object-foreign", Corrupt,
        "An object in the repository is not signed by its owner or by a writer that the owner certified. Somebody \
         who can write to the store put it there. It is ignored and changes nothing.");
    /// A prune found that content is missing.
    PRUNE_MISSING = ("prune-missing", Unverified,
        "Content that backups need is missing, or backups that no prune removed are. As long as that is so, a prune \
         deletes nothing. The report names them; a repair finds what can still be found. What is lost for \
         good can be given up.");
    /// A prune would remove an unusual number of backups.
    PRUNE_REMOVALS = ("prune-removals", Conflict,
        "The policy would remove more than half of the backups of a group. Look at what it would remove \
         before you allow it.");
    /// The store became full during a prune.
    PRUNE_NO_SPACE = ("prune-no-space", Partial,
        "The store became full while a prune wrote to it. What could be deleted was deleted. Packs of which little is \
         needed, and parts of the index, stay as they are until there is space for new ones. What the prune set aside \
         is deleted by a prune after the grace period, or by one without a grace period, which is safe while no \
         restore or check runs.");
    /// The keys belong to another repository.
    REPOSITORY_OTHER = ("repository-other", Denied,
        "The keys that the writer holds belong to another repository than the one at this address. Check the \
         address, or set the backup up anew.");
    /// The objects of the repository are not plain age files, or not of the expected layer.
    REPOSITORY_LAYER = ("repository-layer", Usage,
        "The repository was made by a program that encrypts it in its own way, on top of age or instead of it, and \
         only that program opens it. The message names the layer that its description asks for.");
    /// The backup key is too easy to guess.
    BACKUP_KEY_WEAK = ("backup-key-weak", Usage,
        "A backup key is one line of text of 12 characters at least, without control characters. Leave the option \
         out to have a good one generated.");
    /// The backup key does not open the repository. Detail, where keys were left out: `untried`, their number.
    BACKUP_KEY_WRONG = ("backup-key-wrong", Denied,
        "The backup key does not open this repository. Check for a mistyped key and for the right repository. \
         Without the key nobody can read the backups.");
    /// The name of the key is not allowed or exists already.
    BACKUP_KEY_NAME = ("backup-key-name", Usage,
        "A key of a repository has a name of its own, of at most 32 small letters, digits and dashes. Choose another \
         one, or remove the key that has it.");
    /// The key does not exist.
    BACKUP_KEY_UNKNOWN = ("backup-key-unknown", NotFound,
        "The repository has keys, and none has that name.");
    /// The key is the last one that opens the repository.
    BACKUP_KEY_LAST = ("backup-key-last", Conflict,
        "The last key of a repository is never removed, nor one whose removal would lock out whoever asks for it: \
         without a key nobody can read the backups. Add another key first.");
    /// The identity is not valid.
    IDENTITY_INVALID = ("identity-invalid", Usage,
        "The text is not an age X25519 identity. One starts with AGE-SECRET-KEY-1.");
    /// The recipient is not valid.
    RECIPIENT_INVALID = ("recipient-invalid", Corrupt,
        "The text is not an age X25519 recipient. One starts with age1.");
    /// The backup does not exist.
    BACKUP_UNKNOWN = ("backup-unknown", NotFound,
        "There is no backup of that name. The name `latest` stands for the one that was made last.");
    /// The path is not in the backup. Detail, where one backup was asked: `path`.
    PATH_UNKNOWN = ("backup-path-unknown", NotFound,
        "A path that is to be restored is not in the backup. Paths are absolute, as they were on the machine.");
    /// The backup exists already.
    BACKUP_EXISTS = ("backup-exists", Conflict,
        "There is a backup of that name already, or one is being made. Names carry the time to the second: \
         try again.");
    /// The summary of a backup has no valid signature.
    SNAPSHOT_FORGED = ("snapshot-forged", Corrupt,
        "The summary of the backup is not signed by a key of this repository: it was changed after it was written, \
         or written by somebody else. Restore another backup, and find out who can write to the store.");
    /// The manifest or summary of a backup is damaged.
    SNAPSHOT_CORRUPT = ("snapshot-corrupt", Corrupt,
        "The summary or the manifest of the backup is damaged or missing, so it cannot be restored. Other backups \
         are not affected.");
    /// The tag is not allowed.
    TAG_INVALID = ("backup-tag-invalid", Usage,
        "A backup has at most 32 tags. A tag is a text of 1 to 64 printable characters without a comma, which does \
         not start or end with a blank.");
    /// There is nothing to back up.
    SOURCE_MISSING = ("source-missing", NotFound,
        "A folder that is to be backed up does not exist or cannot be read.");
    /// The source cannot be used.
    SOURCE_INVALID = ("source-invalid", Usage,
        "What is to be backed up is given by absolute paths in UTF-8.");
    /// Existing files are in the way. Detail, where overwriting was not allowed: `kept`, their number.
    RESTORE_CONFLICT = ("restore-conflict", Conflict,
        "The restore would replace files that exist and differ. Nothing was written. Restore to another folder, \
         or allow it to overwrite them.");
    /// A path of the backup would be written outside of the target.
    RESTORE_ESCAPE = ("restore-escape", Corrupt,
        "A path in the backup leads out of the folder that is restored to, by `..` or through a symbolic link. \
         It was not written.");
    /// A part of the backup could not be restored.
    RESTORE_INCOMPLETE = ("restore-incomplete", Corrupt,
        "Some files could not be restored, because objects of the repository are missing or damaged or because the \
         target refused them. The others were restored and checked.");
    /// Everything is restored except some owners, modes, times or attributes.
    RESTORE_METADATA = ("restore-metadata", Partial,
        "The content of all files is restored and checked, and some of their owners, modes, times or extended attributes \
         could not be set: the target file system does not have them, or its server does not permit it. The warnings name \
         them.");
    /// The restored files differ from the backup.
    RESTORE_DIFFERS = ("restore-differs", Unverified,
        "The restored files were read back and are not what the backup says. They may have been changed since, or \
         the target file system cannot keep everything, such as owners or extended attributes.");
    /// Verification found problems.
    VERIFY_FAILED = ("verify-failed", Unverified,
        "Objects of the repository are missing or damaged. The list says which backups and files they affect.");
    /// The pattern is not valid.
    PATTERN_INVALID = ("pattern-invalid", Usage,
        "A pattern has * (anything in a name), ** (anything) and ? (one character of a name). One that starts with / is \
         compared with whole paths, one with another / in it with the ends of paths, and one without with names. A pattern \
         that would silently fit nothing, or everything, is refused; the message says why.");
    /// The producer of a stream failed.
    STREAM_FAILED = ("stream-failed", Failed,
        "The stream that was to be backed up ended with an error: the program or the file behind it failed before \
         its end. No backup was made of it.");
    /// The file name of an old backup is not understood.
    OLD_BACKUP_NAME = ("old-backup-name", Usage,
        "The file is not named as the original Cloudron names its backups, as in \
         backup_2016-12-01T03:00:00.000Z-v0.94.0.tar.gz, so its time and version are not known. Rename it, or give \
         the name under which it is to be listed.");
    /// The key does not open the old backup.
    OLD_BACKUP_KEY = ("old-backup-key", Denied,
        "The old backup is encrypted, and the key that was given does not open it, or none was given. It is the \
         backup key of the server that made it, as its settings showed it then.");
    /// The old backup is damaged.
    OLD_BACKUP_CORRUPT = ("old-backup-corrupt", Corrupt,
        "The file is not a backup of the original Cloudron, or it is damaged or cut: its encryption, compression or \
         archive does not check. Nothing was imported; get the file again, or import another one.");
    /// The file of the export exists already.
    EXPORT_EXISTS = ("export-exists", Conflict,
        "There is a file of that name already, and an export never replaces one. Choose another name, or move the \
         file away.");
    /// Another export writes to the same file.
    EXPORT_BUSY = ("export-busy", Conflict,
        "Another export is writing to this file. Wait until it is done, or choose another name.");
    /// The partial file of an export was damaged.
    EXPORT_PART = ("export-part-corrupt", Partial,
        "The part of the file that an earlier export had left was damaged on disk. It was cut back to the last file \
         in it that checks: run the same export again, and it goes on from there.");
    /// A prune declared the backup dead.
    BACKUP_ABORTED = ("backup-aborted", Conflict,
        "The backup had not been heard of for so long that a prune declared it dead, as happens to a machine that \
         sleeps, and it may rely on packs that are gone. It was not made; make a new one.");
    /// Another prune or repair is running.
    PRUNE_BUSY = ("prune-busy", Conflict,
        "Another prune or repair of this repository is under way. Wait for it to end. One that died is taken \
         notice of for half an hour at most.");
    /// A prune could delete content that is needed.
    PRUNE_UNSAFE = ("prune-unsafe", Corrupt,
        "A backup that is to be kept cannot be read, so nobody knows what it needs, and nothing was deleted. \
         Restore the object that is damaged from a copy of the repository, or remove \
         that backup by naming it.");
    /// The list of backups is older than before.
    REPOSITORY_ROLLED_BACK = ("repository-rolled-back", Unverified,
        "Backups that were in the repository before are not in its list any more, and its owner did not remove \
         them with a prune. Somebody deleted or withholds them, or an old copy of the repository was put in its \
         place. Find out who can write to the store.");
}
