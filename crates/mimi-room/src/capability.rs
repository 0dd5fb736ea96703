macro_rules! capabilities {
    ($($variant:ident = $code:literal, $name:literal;)*) => {
        /// What a role allows its holders to do: the registry of draft-ietf-mimi-room-policy-03. Each variant is
        /// documented by its name in that registry; names with "reserved" have no rules in the draft yet.
        ///
        /// Codes that are not in the registry are kept in a [`Role`](crate::Role) and allow nothing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Capability {
            $(#[doc = $name] $variant,)*
        }

        impl Capability {
            /// Every capability of the registry, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number in the registry.
            pub const fn code(self) -> u16 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// The capability of this number, if the registry has it.
            pub const fn from_code(code: u16) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name in the registry.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

capabilities! {
    AddParticipant = 0x0000, "canAddParticipant";
    RemoveParticipant = 0x0001, "canRemoveParticipant";
    AddOwnClient = 0x0002, "canAddOwnClient";
    RemoveOwnClient = 0x0003, "canRemoveOwnClient";
    OpenJoin = 0x0004, "canOpenJoin";
    JoinIfPreauthorized = 0x0005, "canJoinIfPreauthorized";
    RemoveSelf = 0x0006, "canRemoveSelf";
    CreateJoinCode = 0x0007, "canCreateJoinCode";
    DeleteJoinCode = 0x0008, "canDeleteJoinCode";
    UseJoinCode = 0x0009, "canUseJoinCode";
    Ban = 0x000a, "canBan";
    UnBan = 0x000b, "canUnBan";
    Kick = 0x000c, "canKick";
    Knock = 0x000d, "canKnock";
    AcceptKnock = 0x000e, "canAcceptKnock";
    ChangeUserRole = 0x000f, "canChangeUserRole";
    ChangeOwnRole = 0x0010, "canChangeOwnRole";
    CreateSubgroup = 0x0011, "canCreateSubgroup";
    SendMessage = 0x0100, "canSendMessage";
    ReceiveMessage = 0x0101, "canReceiveMessage";
    CopyMessage = 0x0102, "canCopyMessage";
    ReportAbuse = 0x0103, "canReportAbuse";
    ReplyToMessage = 0x0104, "canReplyToMessage";
    ReactToMessage = 0x0105, "canReactToMessage";
    EditReaction = 0x0106, "canEditReaction";
    DeleteOwnReaction = 0x0107, "canDeleteOwnReaction";
    DeleteOtherReaction = 0x0108, "canDeleteOtherReaction";
    EditOwnMessage = 0x0109, "canEditOwnMessage";
    DeleteOwnMessage = 0x010a, "canDeleteOwnMessage";
    DeleteOtherMessage = 0x010b, "canDeleteOtherMessage";
    StartTopic = 0x010c, "canStartTopic";
    ReplyInTopic = 0x010d, "canReplyInTopic";
    EditOwnTopic = 0x010e, "canEditOwnTopic";
    EditOtherTopic = 0x010f, "canEditOtherTopic";
    SendDirectMessage = 0x0110, "canSendDirectMessage";
    TargetMessage = 0x0111, "canTargetMessage";
    UploadImage = 0x0200, "canUploadImage";
    UploadAudio = 0x0201, "canUploadAudio";
    UploadVideo = 0x0202, "canUploadVideo";
    UploadAttachment = 0x0203, "canUploadAttachment";
    DownloadImage = 0x0204, "canDownloadImage";
    DownloadAudio = 0x0205, "canDownloadAudio";
    DownloadVideo = 0x0206, "canDownloadVideo";
    DownloadAttachment = 0x0207, "canDownloadAttachment";
    SendLink = 0x0208, "canSendLink";
    SendLinkPreview = 0x0209, "canSendLinkPreview";
    FollowLink = 0x020a, "canFollowLink";
    CopyLink = 0x020b, "canCopyLink";
    ChangeRoomName = 0x0300, "canChangeRoomName";
    ChangeRoomDescription = 0x0301, "canChangeRoomDescription";
    ChangeRoomAvatar = 0x0302, "canChangeRoomAvatar";
    ChangeRoomSubject = 0x0303, "canChangeRoomSubject";
    ChangeRoomMood = 0x0304, "canChangeRoomMood";
    ChangeOwnName = 0x0380, "canChangeOwnName";
    ChangeOwnPresence = 0x0381, "canChangeOwnPresence";
    ChangeOwnMood = 0x0382, "canChangeOwnMood";
    ChangeOwnAvatar = 0x0383, "canChangeOwnAvatar";
    StartCall = 0x0400, "canStartCall";
    JoinCall = 0x0401, "canJoinCall";
    SendAudio = 0x0402, "canSendAudio";
    ReceiveAudio = 0x0403, "canReceiveAudio";
    SendVideo = 0x0404, "canSendVideo";
    ReceiveVideo = 0x0405, "canReceiveVideo";
    ShareScreen = 0x0406, "canShareScreen";
    ViewSharedScreen = 0x0407, "canViewSharedScreen";
    CreateRoom = 0x0500, "canCreateRoom";
    DestroyRoom = 0x0501, "canDestroyRoom";
    ChangeRoomMembershipStyle = 0x0502, "canChangeRoomMembershipStyle";
    ChangeRoleDefinitions = 0x0503, "canChangeRoleDefinitions";
    ChangePreauthorizedUserList = 0x0504, "canChangePreauthorizedUserList";
    ChangeOtherPolicyAttribute = 0x0505, "canChangeOtherPolicyAttribute";
    ChangeMlsOperationalPolicies = 0x0600, "canChangeMlsOperationalPolicies";
    SendMlsReinitProposal = 0x0601, "canSendMLSReinitProposal";
    SendMlsUpdateProposal = 0x0602, "canSendMLSUpdateProposal";
    SendMlsPskProposal = 0x0603, "canSendMLSPSKProposal";
    SendMlsExternalProposal = 0x0604, "canSendMLSExternalProposal";
    SendMlsExternalCommit = 0x0605, "canSendMLSExternalCommit";
}

impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_lead_back() {
        for capability in Capability::ALL {
            assert_eq!(Capability::from_code(capability.code()), Some(*capability));
        }
        assert!(Capability::ALL.is_sorted_by_key(|capability| capability.code()));
        assert_eq!(Capability::ALL.len(), 77);
        assert_eq!(Capability::from_code(0xf000), None);
    }

    #[test]
    fn some_codes_by_name() {
        assert_eq!(Capability::SendMessage.code(), 0x0100);
        assert_eq!(Capability::DestroyRoom.to_string(), "canDestroyRoom");
        assert_eq!(Capability::from_code(0x000f), Some(Capability::ChangeUserRole));
    }
}
