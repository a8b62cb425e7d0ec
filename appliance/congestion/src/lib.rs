//! Sans-IO congestion control and pacing for every kind of leg.
