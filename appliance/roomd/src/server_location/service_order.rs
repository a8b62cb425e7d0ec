//! The order in which the servers of a service are tried (RFC 2782).

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Lower ones are tried first.
    pub(super) priority: u16,
    /// The share of a server among those of its priority.
    pub(super) weight: u16,
    pub(super) port: u16,
    /// The server's name.
    pub(super) target: String,
}

/// Sorts by priority, and draws among equals by weight. `random_up_to` gives a number from 0 to the
/// one that it gets, both included.
pub(super) fn in_order(
    mut services: Vec<Service>,
    mut random_up_to: impl FnMut(u32) -> u32,
) -> Vec<Service> {
    // Those without weight come first, so that they have their small chance.
    services.sort_by_key(|service| (service.priority, service.weight));
    let mut ordered = Vec::with_capacity(services.len());
    while let Some(first) = services.first() {
        let priority = first.priority;
        let equals = services
            .iter()
            .take_while(|service| service.priority == priority);
        let sum = equals.map(|service| u32::from(service.weight)).sum();
        let drawn = random_up_to(sum);
        let mut running = 0;
        let chosen = services.iter().position(|service| {
            running += u32::from(service.weight);
            running >= drawn
        });
        ordered.push(services.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn service(priority: u16, weight: u16, target: &str) -> Service {
        Service {
            priority,
            weight,
            port: 5061,
            target: target.to_owned(),
        }
    }

    fn order(services: &[Service], draws: &[u32]) -> String {
        let mut draws = draws.iter().copied();
        let ordered = in_order(services.to_vec(), |most| {
            draws.next().unwrap_or(0).min(most)
        });
        ordered.iter().map(|it| it.target.as_str()).collect()
    }

    #[test]
    fn priority_comes_first_and_weight_draws_among_equals() {
        let services = [
            service(20, 0, "c"),
            service(10, 60, "b"),
            service(10, 40, "a"),
        ];
        for (draws, expected) in [
            (&[0][..], "abc"),
            (&[40], "abc"),
            (&[41], "bac"),
            (&[100], "bac"),
        ] {
            assert_eq!(order(&services, draws), expected, "{draws:?}");
        }
    }

    #[test]
    fn a_server_without_weight_is_tried_before_weighted_ones_only_when_zero_is_drawn() {
        let services = [service(1, 0, "z"), service(1, 5, "w")];
        assert_eq!(order(&services, &[0]), "zw");
        assert_eq!(order(&services, &[1]), "wz");
    }

    #[test]
    fn draws_follow_the_weights() {
        let services = [service(1, 1, "a"), service(1, 3, "b")];
        let first_is_b = (0..=4).filter(|draw| order(&services, &[*draw]).starts_with('b'));
        // 2, 3 and 4 of 0 to 4: the zero falls to the first.
        assert_eq!(first_is_b.count(), 3);
    }

    proptest! {
        #[test]
        fn every_server_is_tried_once_and_priorities_never_fall(
            records in proptest::collection::vec((0_u16..4, any::<u16>()), 0..12),
            draws in proptest::collection::vec(any::<u32>(), 12),
        ) {
            let services: Vec<_> = records
                .iter()
                .enumerate()
                .map(|(index, (priority, weight))| service(*priority, *weight, &index.to_string()))
                .collect();
            let mut draws = draws.into_iter();
            let ordered = in_order(services.clone(), |most| {
                draws.next().map_or(0, |draw| (u64::from(draw) % (u64::from(most) + 1)) as u32)
            });
            prop_assert!(ordered.is_sorted_by_key(|service| service.priority));
            prop_assert_eq!(ordered.len(), services.len());
            for service in services {
                prop_assert!(ordered.contains(&service));
            }
        }
    }
}
