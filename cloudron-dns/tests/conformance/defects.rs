//! Defects of real providers, each with the check that must catch it.

macro_rules! defects {
    ($($defect:ident: $check:ident;)*) => {
        /// A provider with one defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Defect { None, $($defect),* }

        pub const DEFECTS: &[(Defect, &str)] = &[$((Defect::$defect, stringify!($check))),*];
    };
}

defects! {
    // Zones.
    NearIsTakenLiterally: the_zone_is_listed_and_found_for_a_name_below_it;
    FirstZoneOnly: the_longest_zone_that_encloses_a_name_is_found;
    ZonesByEndOfText: a_zone_whose_name_only_ends_alike_is_another;
    ZonesAreMixed: zones_do_not_mix;
    UnknownZonesAreEmpty: an_unknown_zone_is_an_error_and_not_empty;
    UnknownZonesAreWritten: an_unknown_zone_is_not_written;
    OutsideOfTheZoneIsIgnored: a_name_outside_of_the_zone_is_refused;
    FailedListIsEmpty: a_list_of_zones_that_fails_is_an_error;
    EveryNameHasAZone: a_name_in_no_zone_finds_none;
    // Reading.
    ReadsTwentyOnly: twenty_one_sets_are_read_complete;
    ReadsAHundredOnly: a_hundred_and_one_sets_are_read_complete;
    ReadsTwoHundredOnly: two_hundred_and_one_sets_are_read_complete;
    ReadsThreeHundredOnly: three_hundred_and_one_sets_are_read_complete;
    NeverComplete: a_whole_zone_is_read_complete;
    ReadsFirstTypeOnly: sets_of_one_name_do_not_mix;
    ReadsWhatItWished: an_address_comes_back;
    FailedReadsAreEmpty: a_reading_that_fails_is_an_error_and_no_empty_zone;
    FailedPagesAreTheEnd: a_reading_that_fails_at_a_later_page_is_an_error;
    OpaqueIsInvisible: what_is_opaque_is_listed_and_never_written_over;
    WildcardsAnswerForOthers: a_wildcard_and_its_neighbours_do_not_mix;
    WildcardsAreNotFound: a_wildcard_comes_back_and_goes;
    // Names and values.
    NamesLoseTheZoneTwice: a_name_that_repeats_the_zones_name_comes_back;
    TargetsAreRelative: a_cname_comes_back_absolute;
    TopTargetsAreLost: a_cname_to_the_top_comes_back;
    FirstValueOnly: several_addresses_come_back;
    ZeroPreferenceIsTen: a_mail_server_comes_back_with_its_preference;
    OnePreferenceForAll: mail_servers_are_not_written_again;
    ZeroWeightIsOne: a_service_comes_back_with_its_zeros;
    PlansWhatItRefuses: a_domain_without_mail_comes_back_or_is_refused;
    CaaFlagsAreLost: a_caa_comes_back_with_its_flags;
    CaaEndsInADot: caas_of_one_value_and_two_tags_come_back;
    ReportsEndInADot: a_caa_address_for_reports_comes_back;
    // Texts.
    TextIsCutAt255Bytes: a_text_of_256_bytes_comes_back;
    TextPiecesAreSpaced: a_key_of_410_bytes_comes_back;
    LastPieceIsLost: a_text_of_511_bytes_comes_back;
    TextLosesBackslashes: backslashes_come_back_or_are_refused;
    TextEscapesAreResolved: an_escape_in_a_text_is_no_escape;
    TextIsQuotedTwice: a_text_comes_back;
    TextLosesQuotes: a_text_in_quotes_keeps_them;
    TextEndsAtSemicolon: quotes_and_semicolons_come_back;
    TextBeyondAsciiIsReplaced: a_text_beyond_ascii_comes_back;
    TextIsLowerCase: texts_that_differ_in_case_are_two;
    TextIsTrimmed: spaces_at_the_ends_of_a_text_come_back_or_are_refused;
    TextAtSignIsTheZone: a_text_that_looks_like_a_name_comes_back;
    // Writing.
    TtlIsAlwaysAnHour: a_time_to_live_of_a_day_comes_back;
    TtlAloneIsNoChange: a_time_to_live_changes_alone;
    OldValuesStay: a_replacement_leaves_nothing_of_the_old_values;
    DeletesFirstValueOnly: a_deletion_leaves_none_of_many_values;
    DeletesTheWholeName: sets_of_one_name_do_not_mix;
    DeletesWhatIsBelow: a_name_above_another_is_its_own;
    WildcardsAreNotDeleted: a_wildcard_two_labels_down_comes_back_and_goes;
    NeighboursGetTheTtl: records_of_others_are_the_same_after_everything;
    CnameConflictsAreIgnored: a_cname_beside_an_address_is_refused;
    CnamesKeepTheirTarget: a_cname_changes_its_target_twice;
    KeysKeepTheirTag: a_delegation_gets_another_key_and_goes_with_it;
    DropsWhatHasNoPlace: what_is_said_to_be_written_is_there;
    NameServersAreIgnored: the_zones_own_name_servers_are_never_written;
    // Batches.
    PreconditionsAreIgnored: a_creation_over_an_existing_set_is_refused;
    SameIsDoneAlready: a_creation_over_the_same_set_is_refused;
    DeletesDespitePreconditions: a_deletion_of_something_else_is_refused;
    GoneIsDeleted: a_deletion_of_nothing_is_refused;
    BatchesAreNotAtomic: a_batch_that_fails_at_its_last_change_writes_nothing;
    PreconditionsAreCheckedApart: writers_of_one_set_at_the_same_time_lose_nothing;
    ReceiptsAreEmpty: a_receipt_names_every_set_once;
    NeverInSync: a_written_change_is_reported_in_sync_in_the_end;
    // Faults.
    CutIsDone: a_creation_that_never_arrives_is_made_by_the_next_run;
    CutIsNothing: a_creation_whose_answer_is_lost_is_not_made_twice;
    RefusedIsUnknown: a_creation_that_is_refused_changes_nothing;
    RefusedIsDone: a_deletion_that_is_refused_changes_nothing;
    DeletesBeforeItCreates: a_run_that_fails_midway_is_finished_by_the_next_one;
    // Requests.
    WritesEverySetForItself: eight_sets_are_created_in_the_fewest_requests;
    ReadsEveryNameForItself: planning_takes_three_requests_at_most;
    ReadsPagesOfTwenty: a_zone_of_301_sets_is_read_in_eight_requests_at_most;
}
