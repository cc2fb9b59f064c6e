//! The source component: detections out of Microsoft Defender.
