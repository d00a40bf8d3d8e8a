//! Roles as words.

use crate::Role;

impl Role {
    /// As it is written in JSON and string fields: `group_owner`; empty for none.
    pub fn word(self) -> &'static str {
        match self {
            Role::Unspecified => "",
            Role::Customer => "customer",
            Role::GroupUser => "group_user",
            Role::GroupOwner => "group_owner",
            Role::PlatformOwner => "platform_owner",
        }
    }

    /// The role of that [`Role::word`]; the empty word is none.
    pub fn parse(word: &str) -> Option<Role> {
        [Role::Unspecified, Role::Customer, Role::GroupUser, Role::GroupOwner, Role::PlatformOwner].into_iter().find(|role| role.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_names_of_the_proto() {
        for number in 0..=4 {
            let role = Role::try_from(number).expect("a role");
            let name = role.as_str_name().trim_start_matches("ROLE_").to_lowercase();
            assert_eq!(role.word(), if role == Role::Unspecified { "" } else { &name });
            assert_eq!(Role::parse(role.word()), Some(role));
        }
        assert_eq!(Role::parse("owner"), None);
    }
}
