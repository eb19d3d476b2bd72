/* headwater
key = ["urn", "platform", "month"]
*/
-- How many people of a school used a platform in a month, beside the seats that the school pays for.
SELECT
    p.urn,
    p.platform,
    p.month,
    MAX(s.name)                        AS school,
    SUM(p.active_users)                AS active_users,
    SUM(p.minutes)                     AS minutes,
    COALESCE(MAX(paid.seats), 0)       AS seats
FROM staging.platform_usage AS p
LEFT JOIN staging.school AS s ON s.urn = p.urn
LEFT JOIN (
    SELECT u.urn, SUM(u.seats) AS seats
    FROM staging.subscription AS u
    WHERE u.active = 1
    GROUP BY u.urn
) AS paid ON paid.urn = p.urn
GROUP BY p.urn, p.platform, p.month
